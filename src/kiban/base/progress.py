"""How engines tell how far they are, and how they are stopped."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Told of each step: share of the work done (0 to 1) and one short sentence."""

    def __call__(self, share: float, sentence: str) -> None:
        """Say that `share` of the work is done."""


class Cancel(Protocol):
    """Asked between steps: True means stop now and return the best so far."""

    def __call__(self) -> bool:
        """True when the work is to stop."""
        ...


def silent(share: float, sentence: str) -> None:
    """A Progress that says nothing."""


def never() -> bool:
    """A Cancel that never stops."""
    return False


def part(progress: Progress, begin: float, length: float) -> Progress:
    """A Progress for a part of the work, told as shares of the whole.

    >>> part(lambda share, sentence: print(f"{share:.2f} {sentence}"), 0.4, 0.2)(0.5, "half of it")
    0.50 half of it
    """

    def tell(share: float, sentence: str) -> None:
        progress(begin + length * share, sentence)

    return tell
