"""Steiner trees in undirected graphs, solved to the proof.

In: an `Instance` (from `parse`, or made of numpy arrays). Out: a `Result`: a tree, a bound that no tree undercuts, on request a certificate for `check`.

>>> import numpy as np
>>> star = Instance(4, np.array([[0, 3, 1], [1, 3, 1], [2, 3, 1], [0, 1, 2], [1, 2, 2]]), np.array([0, 1, 2]))
>>> result = solve(star, work=1, certify=True)
>>> (result.cost, result.lower_bound, result.status)
(3, 3, 'proved')
>>> check(star, result.certificate).holds
True
"""

from kiban.check.steiner import check_steiner
from kiban.design.steiner.instance import Instance, parse, write, write_stp
from kiban.design.steiner.search import Incumbent, Result, solve
from kiban.design.steiner.shrink import REDUCTIONS, Removal
from kiban.records.design import CheckReport
from kiban.records.steiner import SteinerCertificate

__all__ = ["REDUCTIONS", "Incumbent", "Instance", "Removal", "Result", "check", "parse", "solve", "write", "write_stp"]


def check(instance: Instance, certificate: SteinerCertificate) -> CheckReport:
    """Judge a certificate by the instance alone; the checker shares no code with the solver."""
    return check_steiner(instance.count, instance.edges, instance.terminals, certificate)
