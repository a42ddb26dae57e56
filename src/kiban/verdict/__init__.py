"""The choice between the seven options: leave it, work without digital means, revise, share, join, buy, build.

In: the records of a plan, its open points and its named facts. Out: a records.verdict.Verdict. Engines here are pure: every sentence comes from the
words, every number is a figure of the ledger. No option is recommended while a fact that could flip it is unknown: then one point is named, with
the letter that asks it.
"""

from kiban.verdict.choice import choose
from kiban.verdict.grounds import Grounds
from kiban.verdict.rules import priority_rows
from kiban.verdict.unknown import Unknown, fact_points, option_points, unknowns

__all__ = ["Grounds", "Unknown", "choose", "fact_points", "option_points", "priority_rows", "unknowns"]
