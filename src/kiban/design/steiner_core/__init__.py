"""Steiner trees in undirected graphs, solved to the proof: instances, reductions, growing, exchange, duals and cuts."""

from kiban.design.steiner_core.instance import Instance, parse, write, write_stp
from kiban.design.steiner_core.search import Incumbent, Result, solve
from kiban.design.steiner_core.shrink import REDUCTIONS, Removal

__all__ = ["REDUCTIONS", "Incumbent", "Instance", "Removal", "Result", "parse", "solve", "write", "write_stp"]
