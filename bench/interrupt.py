"""Ctrl-C at any moment: `python bench/interrupt.py [--runs N] [--links N] [--seed N]`.

Starts `kiban steiner` on a drawn street graph, interrupts it at a random moment, judges the answer, and prints how long answer and end took.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from kiban.design.steiner import Instance, parse, write

ANSWER = 2.0  # seconds that an answer may take


@dataclass(frozen=True)
class Interrupted:
    """What came of one run: seconds from the signal to the answer (None without) and to the end, exit code, lines of progress, and what is wrong."""

    moment: float
    answer: float | None
    end: float
    code: int
    lines: int
    wrong: tuple[str, ...]


def interrupt(file: Path, instance: Instance, moment: float, tree: Path, *, after_tree: bool = True, number: int = signal.SIGINT) -> Interrupted:
    """Start on a file, interrupt `moment` seconds after the first tree (or after the start), judge what is printed and written.

    The run ends by itself only after a minute; one that had proved its tree before the moment is judged all the same.
    """
    tree.unlink(missing_ok=True)
    words = [sys.executable, "-m", "kiban", "steiner", str(file), "--time", "60", "--json", "-o", str(tree)]
    said: list[str] = []
    answers: list[tuple[float, str]] = []
    first = threading.Event()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}) as process:
        out, err = process.stdout, process.stderr
        assert out is not None
        assert err is not None

        def hear() -> None:
            for line in err:
                said.append(line)
                first.set()
            first.set()

        def listen() -> None:
            answers.extend((time.monotonic(), line) for line in out)

        readers = [threading.Thread(target=hear), threading.Thread(target=listen)]
        for reader in readers:
            reader.start()
        if after_tree:
            first.wait(60)
        time.sleep(moment)
        begin = time.monotonic()
        process.send_signal(number)
        code = process.wait()
        end = time.monotonic() - begin
        for reader in readers:
            reader.join()
    answer = max(0.0, answers[0][0] - begin) if answers else None
    return Interrupted(moment, answer, end, code, len(said), tuple(judge(instance, said, [line for _, line in answers], tree, code, after_tree)))


def judge(instance: Instance, said: list[str], answers: list[str], tree: Path, code: int, after_tree: bool) -> list[str]:
    """What is wrong with an answer; nothing is right as well where no tree was told."""
    told = [json.loads(line) for line in said if line.startswith("{")]
    if code == 130 and not told and not answers and not after_tree and not tree.exists():
        return []
    if code != 0 or len(answers) != 1 or not tree.is_file():
        return [f"exit {code}, {len(answers)} answers, tree {'written' if tree.exists() else 'not written'}: {''.join(said)[-500:]}"]
    answer, lines = json.loads(answers[0]), tree.read_text(encoding="ascii").splitlines()
    wrong = []
    if lines[0] != f"VALUE {answer['cost']}" or len(lines) != 1 + answer["edges"]:
        wrong.append(f"the tree's file says {lines[0]} and has {len(lines) - 1} edges, the answer {answer}")
    pairs = np.array([line.split() for line in lines[1:]], np.int64).reshape(-1, 2) - 1
    cheapest: dict[tuple[int, int], int] = {}
    for u, v, cost in instance.edges.tolist():
        pair = (min(u, v), max(u, v))
        cheapest[pair] = min(cost, cheapest.get(pair, cost))
    if (cost := sum(cheapest[min(u, v), max(u, v)] for u, v in pairs.tolist())) != answer["cost"]:
        wrong.append(f"the edges add up to {cost}, not to {answer['cost']}")
    shape = coo_matrix((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(instance.count, instance.count))
    pieces, piece = connected_components(shape, directed=False)
    if len(set(piece[instance.terminals].tolist())) > 1 or pieces != instance.count - len(pairs):
        wrong.append("no tree over all terminals")
    if told and (answer["cost"] > told[-1]["cost"] or answer["lower_bound"] < told[-1]["lower_bound"]):
        wrong.append(f"worse than the last line {told[-1]}: {answer}")
    if answer["lower_bound"] > answer["cost"]:
        wrong.append(f"a bound above the cost: {answer}")
    return wrong


def main() -> int:
    """0 when every answer is right and came in time."""
    from streets import make_streets

    parser = argparse.ArgumentParser(description="interrupt kiban steiner at random moments")
    parser.add_argument("--runs", type=int, default=50, metavar="N", help="runs (50)")
    parser.add_argument("--links", type=int, default=30_000, metavar="N", help="links of the street graph (30000)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of graph and moments (0)")
    parser.add_argument("--most", type=float, default=2.5, metavar="S", help="latest moment after the first tree, in seconds (2.5)")
    args = parser.parse_args()
    draw = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        file, tree = Path(folder) / "streets.gr", Path(folder) / "tree.txt"
        file.write_text(write(make_streets(args.links, args.seed)), encoding="ascii")
        instance = parse(file.read_bytes())
        done: list[Interrupted] = []
        for run in range(args.runs):
            early = run % 10 == 9  # before the first tree, or about then
            moment = draw.uniform(1.0, 3.0) if early else draw.uniform(0.0, args.most)
            found = interrupt(file, instance, moment, tree, after_tree=not early, number=signal.SIGTERM if run % 5 == 4 else signal.SIGINT)
            done.append(found)
            took = "no tree yet" if found.answer is None else f"answer {found.answer:5.2f} s"
            since, wrong = "start" if early else "first tree", "; ".join(found.wrong)
            print(f"{run + 1:3} {moment:5.2f} s after the {since}: {took}, end {found.end:5.2f} s, exit {found.code} {wrong}".rstrip(), flush=True)
    bad = [found for found in done if found.wrong]
    for name, seconds in (("answer", [found.answer for found in done if found.answer is not None]), ("end", [found.end for found in done])):
        if seconds:
            q = np.quantile(seconds, [0.5, 0.9, 1.0])
            print(f"{name}: {len(seconds)} runs, median {q[0]:.2f} s, nine of ten within {q[1]:.2f} s, latest {q[2]:.2f} s (limit {ANSWER:g} s)")
    late = [found for found in done if found.end > ANSWER]
    print(f"{len(bad)} wrong, {len(late)} late, of {len(done)}")
    return 1 if bad or late else 0


if __name__ == "__main__":
    sys.exit(main())
