"""What runs inside Robot Framework: a time limit for each test, and one line for each test begun or ended.

The runner loads both classes by name (`--prerunmodifier robot_side.Limit:…`, `--listener robot_side.Progress:…`).
Neither imports anything of Robot Framework, so this file can be read without it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Limit:
    """Gives each test without a time limit one, and leaves out the tests that an earlier process ended already.

    seconds  of one test, without its teardown
    ended    a file of names of tests, one a line; "-" for none
    """

    def __init__(self, seconds: str, ended: str = "-") -> None:
        self.seconds = float(seconds)
        self.ended = set() if ended == "-" else set(Path(ended).read_text("utf-8").splitlines())

    def visit_suite(self, suite: Any) -> None:
        """Called by Robot Framework with the tree of suites before anything runs."""
        suite.tests = [test for test in suite.tests if test.longname not in self.ended]
        for test in suite.tests:
            if not test.timeout:
                test.timeout = f"{self.seconds} seconds"
        for part in suite.suites:
            self.visit_suite(part)


class Progress:
    """Writes one JSON line to a file when a test begins and one when it ends; the runner reads them while the suite runs."""

    ROBOT_LISTENER_API_VERSION = 3

    def __init__(self, file: str) -> None:
        self.output = Path(file).open("a", encoding="utf-8")  # noqa: SIM115  (closed by close)

    def _write(self, row: dict[str, Any]) -> None:
        self.output.write(json.dumps(row) + "\n")
        self.output.flush()

    def start_test(self, data: Any, result: Any) -> None:
        """A test begins."""
        self._write({"begun": data.longname, "name": data.name, "tags": [str(tag) for tag in result.tags], "file": str(data.source)})

    def end_test(self, data: Any, result: Any) -> None:
        """A test ended: PASS, FAIL or SKIP, its message and how long it took in seconds."""
        self._write({"ended": data.longname, "status": result.status, "message": result.message, "seconds": result.elapsed_time.total_seconds()})

    def close(self) -> None:
        """Robot Framework ends."""
        self.output.close()
