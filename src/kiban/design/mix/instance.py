"""Mix instances: read from JSON, plain or gzip, and written as arrays.

In: bytes. Out: a Mix record, and its Arrays. Whether a solution is one is said by kiban.check, not here.
"""

from __future__ import annotations

import gzip
import io
import zlib
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from kiban.base.errors import DesignError
from kiban.records.mix import Mix

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Arrays:
    """A Mix as arrays; inf: no such service, no limit."""

    nodes: int
    root: int
    link_ends: Ints
    link_cost: Floats
    site_node: Ints
    demand: Floats
    fibre_terminal: Floats
    sky: Floats
    facility_node: Ints
    module_cost: Floats
    capacity: Floats
    serve_facility: Ints
    serve_site: Ints
    serve_cost: Floats
    hop_ends: Ints
    hop_cost: Floats


def parse(data: bytes, where: str = "mix", most_bytes: int = 1 << 30) -> Mix:
    """Read a mix instance.

    Raises
    ------
    DesignError  broken gzip or JSON, a wrong field, or more than most_bytes when unpacked
    RecordError  a number out of range
    """
    if data[:2] == GZIP:
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
                data = stream.read(most_bytes + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise DesignError(where, f"broken gzip ({error})", "a whole gzip file", "fetch the file again") from error
    if len(data) > most_bytes:
        raise DesignError(where, "a file too large", f"at most {most_bytes} bytes unpacked", "leave out what is not needed")
    try:
        return msgspec.json.decode(data, type=Mix)
    except msgspec.ValidationError as error:
        raise DesignError(where, str(error), "the keys of a mix instance", "correct the file; the format is in the reference of `kiban mix`") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DesignError(where, f"no JSON ({error})", "a mix instance as JSON, plain or gzip", "check that the file is whole") from error


def arrays(mix: Mix) -> Arrays:
    """The numbers of a mix in arrays."""
    links, serves, hops = _table(mix.links), _table(mix.serves), _table(mix.hops)
    return Arrays(
        mix.nodes, mix.root, links[:, :2].astype(np.int64), links[:, 2],
        np.array([node for node, _ in mix.sites], np.int64), np.array([demand for _, demand in mix.sites], np.float64),
        _costs(mix.fibre_terminal), _costs(mix.sky),
        np.array([node for node, *_ in mix.facilities], np.int64), np.array([cost for _, cost, _ in mix.facilities], np.float64),
        _costs(tuple(capacity for *_, capacity in mix.facilities)),
        serves[:, 0].astype(np.int64), serves[:, 1].astype(np.int64), serves[:, 2], hops[:, :2].astype(np.int64), hops[:, 2],
    )  # fmt: skip


def _table(found: tuple[tuple[int, int, float], ...]) -> Floats:
    return np.array(found, np.float64).reshape(-1, 3)


def _costs(found: tuple[float | None, ...]) -> Floats:
    return np.array([np.inf if amount is None else amount for amount in found], np.float64)
