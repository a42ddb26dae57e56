"""The independent checker: judges a design by the records alone, and shares no code with what made it."""

from kiban.check.admission import ADMISSION, check_problem
from kiban.check.constraints import CONSTRAINTS, Constraint, check_design
from kiban.check.drill import check_drills
from kiban.check.money import FRONTIER, PHASES, check_frontier, check_phases

__all__ = ["ADMISSION", "CONSTRAINTS", "FRONTIER", "PHASES", "Constraint", "check_design", "check_drills", "check_frontier", "check_phases", "check_problem"]
