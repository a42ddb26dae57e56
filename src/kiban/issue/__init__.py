"""From one sentence to needs: what a local issue may mean, near cases, questions, whom to ask. Pure functions on records."""

from kiban.issue.likeness import near_cases
from kiban.issue.understanding import left_out, understand

__all__ = ["left_out", "near_cases", "understand"]
