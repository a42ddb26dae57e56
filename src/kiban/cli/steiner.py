"""`kiban steiner FILE`: a Steiner tree of a SteinLib `.stp` or PACE `.gr` instance with a proven bound; Ctrl-C prints the answer so far."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from kiban.base.errors import DesignError, KibanError
from kiban.base.settings import Settings
from kiban.cli._certificate import read_instance, writable, write_whole
from kiban.cli._search import add_limits, interruptible, limits_of, percent

if TYPE_CHECKING:  # loads the kernels
    from kiban.design.steiner import Result
    from kiban.design.steiner.instance import Instance


def add(parsers: Any) -> None:
    """Arguments of `kiban steiner`."""
    parser = parsers.add_parser("steiner", help="Steiner 木を解き、下限を証明する / solve a Steiner tree instance and prove a bound")
    parser.add_argument("file", type=Path, metavar="FILE", help="SteinLib .stp または PACE .gr（gzip 可） / SteinLib .stp or PACE .gr, gzipped or not")
    parser.add_argument(
        "--certificate", type=Path, metavar="OUT.json", help="下限の証明書を書く（.gz なら gzip） / write the proof of the bound (gzipped if .gz)"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="TREE.txt", help="木を PACE の形式で書く / write the tree in PACE output format")
    add_limits(parser)


def run(args: argparse.Namespace, _: Settings) -> int:
    """Solve, say each better tree or bound on the error stream, print the answer. 0 with an answer, also when interrupted; 130 without one.

    Raises KibanError when the file is no instance, its terminals are apart, or it needs more memory than allowed.
    """
    with interruptible() as interrupt:
        told = [path.resolve() for path in (args.file, args.certificate, args.output) if path is not None]
        if len(set(told)) < len(told):
            raise KibanError(str(told[-1]), "the same file twice", "other files for FILE, --certificate and -o", "name another file: nothing is overwritten")
        for path in (args.certificate, args.output):
            if path is not None:
                writable(path)
        from kiban.design.steiner import solve

        instance = read_instance(args.file)
        interrupt.solving = True
        try:
            result = solve(instance, certify=args.certificate is not None, **limits_of(args, interrupt))
        except DesignError:
            if not interrupt.stop:
                raise
            print("kiban: 中断しました。木はまだありません / stopped before a tree was found", file=sys.stderr)
            return 130
        print(_answer(result, interrupt.stop, args.json), flush=True)
        if args.output is not None:
            write_whole(args.output, _tree(instance, result).encode())
        if args.certificate is not None:
            _write_certificate(args.certificate, result)
        if interrupt.stop:
            sys.stderr.flush()
            os._exit(0)  # all is written; threads that still compute are not waited for
    return 0


def _answer(result: Result, stopped: bool, as_json: bool) -> str:
    if as_json:
        told = {"cost": result.cost, "lower_bound": result.lower_bound, "gap": result.gap, "status": result.status, "seconds": round(result.seconds, 2)}
        return json.dumps({**told, "edges": len(result.edges), "rounds": result.rounds, "ended": result.ended, "stopped": stopped})
    early = "  中断 / stopped" if stopped else "  メモリの上限に近づいたため終了 / ended near the memory limit" if result.ended == "memory" else ""
    return (
        f"費用 / cost: {result.cost:,}  下限 / bound: {result.lower_bound:,}  差 / gap: {percent(result.gap)}  {result.status}"
        f"  枝 / edges: {len(result.edges):,}  {result.seconds:.1f} s{early}"
    )


def _tree(instance: Instance, result: Result) -> str:
    ends = instance.edges[list(result.edges), :2] + 1
    return "\n".join([f"VALUE {result.cost}", *(f"{u} {v}" for u, v in ends.tolist()), ""])


def _write_certificate(path: Path, result: Result) -> None:
    if result.certificate is None:
        print(f"kiban: {path}: 証明書は間に合いませんでした / no certificate: the search was ended before it was made", file=sys.stderr)
        return
    write_whole(path, msgspec.json.encode(result.certificate))
