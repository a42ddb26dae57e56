"""The independent checker: judges a design by the records alone, and shares no code with what made it."""

from kiban.check.admission import ADMISSION, check_problem
from kiban.check.constraints import CONSTRAINTS, Constraint, check_design
from kiban.check.drill import check_drills

__all__ = ["ADMISSION", "CONSTRAINTS", "Constraint", "check_design", "check_drills", "check_problem"]
