"""A search on its way, as it is kept between two runs (途中保存)."""

from __future__ import annotations

from kiban.base.errors import RecordError
from kiban.records.design import Certificate
from kiban.records.rules import Record, check_range


class Snapshot(Record, frozen=True, kw_only=True):
    """Where the search for one design stands: the best design so far, what is proved, and what has been tried already.

    arcs         of the best design so far; None: there is none yet
    cost         of that design in yen; `unserved`: demands that it leaves out, `broken`: limits that it breaks
    bound        yen that no design can undercut, and the certificate that proves it, so that it can be claimed again
    bounded      the search for the bound is over
    renewals     turns of the bound's improvement that are done; `rounds`: of the linear programme
    value        values of the arcs in the linear programme, (arc, value), those of 0 left out; None: there was none
    tight        cuts that the linear programme needs: (demand node, a bit for each node that is inside)
    stage, turn  what is being tried (a place in design.solve.STAGES), and how much of it is done
    seconds      that the search has taken so far, all runs together
    """

    arcs: tuple[int, ...] | None = None
    cost: int | None = None
    unserved: int = 0
    broken: int = 0
    bound: int = 0
    certificate: Certificate = Certificate()
    bounded: bool = False
    renewals: int = 0
    rounds: int = 0
    value: tuple[tuple[int, float], ...] | None = None
    tight: tuple[tuple[int, bytes], ...] = ()
    stage: int = 0
    turn: int = 0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if (self.arcs is None) != (self.cost is None):
            raise RecordError("snapshot", f"arcs {self.arcs is not None}, cost {self.cost}", "both or neither", "begin anew")
        for name in ("cost", "unserved", "broken", "bound", "renewals", "rounds", "stage", "turn", "seconds"):
            check_range(f"snapshot, {name}", getattr(self, name), 0)


class Checkpoint(Record, frozen=True, kw_only=True):
    """What is kept of a plan that is being made, so that it can go on after the machine went down.

    engine    "kiban 1.2.3": another version begins anew
    inputs    digest of everything that the plan is made from
    finished  designs that were finished, each packed: key of the search → record of the design
    running   key of the search that is running, and where it stands
    """

    engine: str
    inputs: str
    finished: dict[str, bytes] = {}
    running: str | None = None
    snapshot: Snapshot | None = None
