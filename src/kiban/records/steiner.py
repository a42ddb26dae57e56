"""A Steiner tree instance and the proof of a lower bound: a tree of steps that a checker replays on the instance.

Vertices are 0 … count − 1. Edges are numbered: those of the instance 0 … many − 1, each edge that a `split` makes gets the next number. Every step
speaks of the graph as the steps before it left it.
"""

from __future__ import annotations

from typing import Literal

from kiban.records.design import Cut
from kiban.records.rules import Record


class Dual(Record, frozen=True, kw_only=True):
    """Directed cuts away from `root` with whole duals in 1 / `scale` of a cost unit: for each arc (an edge has two, each of the edge's cost) the duals of
    the cuts that it enters add up to at most scale × cost. No tree of the graph at hand costs less than their sum."""

    root: int
    scale: int = 1
    cuts: tuple[Cut, ...] = ()


class Step(Record, frozen=True, kw_only=True, array_like=True, tag="step"):
    """One reduction; `of` holds whole numbers.

    drop   (edge)                        its ends are joined without it by a special distance of at most its cost; a loop always is
    leaf   (vertex)                      no terminal, at most one edge: goes with its edge
    take   (edge, gone, near, far)       the edge stands in an optimal tree: a walk through it from terminal `near` to terminal `far` is as long as at most the
                                         cheapest bottleneck between the two without it. `gone`, one of its ends, melts into the other end, now a terminal
    split  (vertex)                      no terminal, 1 to 4 edges, in some optimal tree of degree at most 2: goes, and each pair of its edges, in
                                         the order of their numbers, becomes one edge of the sum of their costs
    """

    kind: Literal["drop", "leaf", "take", "split"]
    of: tuple[int, ...]


class Elimination(Record, frozen=True, kw_only=True, array_like=True, tag="bound"):
    """What no tree cheaper than the known one can hold, by the reduced costs of `dual`: edges, vertices, and vertices of degree above 2 (`splits`)."""

    dual: Dual
    edges: tuple[int, ...] = ()
    vertices: tuple[int, ...] = ()
    splits: tuple[int, ...] = ()


class Leaf(Record, frozen=True, kw_only=True, tag="leaf"):
    """The end of a branch: a dual, or none where at most one terminal is left or the terminals are apart."""

    dual: Dual | None = None


class Branch(Record, frozen=True, kw_only=True, tag="branch"):
    """Two cases: `vertex` belongs to the tree (it becomes a terminal), or it does not (it goes with its edges)."""

    vertex: int
    inside: Proof
    outside: Proof


class Proof(Record, frozen=True, kw_only=True):
    """Steps in their order, then an end."""

    steps: tuple[Step | Elimination, ...] = ()
    end: Leaf | Branch


class SteinerCertificate(Record, frozen=True, kw_only=True):
    """A tree of an instance, by edge numbers, and the proof that no tree costs less than `bound`."""

    instance: str  # SHA-256 of the instance's numbers, see `kiban.check.steiner.instance_hash`
    edges: tuple[int, ...]
    cost: int
    bound: int
    proof: Proof
