"""Errors that say where, what was found, what fits, and the next step.

One family per room under KibanError. A message is written for the officer who reads it, not for the author of the code.
"""

from __future__ import annotations


class KibanError(Exception):
    """Anything that kiban itself refuses.

    Parameters
    ----------
    where  the file and line, the row, the setting or the argument
    found  what stands there
    fits   what would be accepted
    step   what to do next

    >>> print(KibanError("towns.csv:3", "団体コード '17463'", "six digits", "add the check digit: 174637"))
    towns.csv:3: found 団体コード '17463'; expected six digits. Next: add the check digit: 174637
    """

    exit_code = 2
    status = 400

    def __init__(self, where: str, found: str, fits: str = "", step: str = "") -> None:
        self.where, self.found, self.fits, self.step = where, found, fits, step
        text = f"{where}: found {found}"
        if fits:
            text += f"; expected {fits}"
        if step:
            text += f". Next: {step}"
        super().__init__(text)


class ManyErrors(KibanError):
    """All problems of one thing at once, one line each."""

    def __init__(self, where: str, problems: list[KibanError]) -> None:
        self.problems = problems
        super().__init__(where, f"{len(problems)} problem(s)")
        self.args = ("\n".join(str(problem) for problem in problems),)


class RecordError(KibanError):
    """A record was built with a value outside its range, unit or id form."""


class DataFileError(KibanError):
    """A data file of the catalogue does not say what its kind requires."""


class DataFilesError(ManyErrors, DataFileError):
    """All problems of the data files in one message."""


class RegionError(KibanError):
    """A region file, row or value cannot be used."""


class IssueError(KibanError):
    """The sentence of the issue cannot be read."""


class FinanceError(KibanError):
    """A price, rate, lifetime or scope cannot be used together."""


class DesignError(KibanError):
    """The design problem or a design is not well formed."""


class StoreError(KibanError):
    """A record could not be kept or found; nothing was lost."""

    exit_code = 1
    status = 500


class ConflictError(StoreError):
    """Somebody else saved a newer version first."""

    status = 409


class NotFoundError(StoreError):
    """No record of that kind and id."""

    status = 404


class AccountError(KibanError):
    """An account cannot be made, changed or used so; `code` names the reason in one word, for who says it in other words."""

    def __init__(self, where: str, found: str, fits: str = "", step: str = "", code: str = "") -> None:
        self.code = code
        super().__init__(where, found, fits, step)


class CheckError(KibanError):
    """A design does not withstand the independent check."""

    exit_code = 1


class Cancelled(KibanError):
    """The user stopped the work; what was found so far is kept."""

    exit_code = 130
