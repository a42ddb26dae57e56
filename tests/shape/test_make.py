"""Everything that make does is told to those who read the README or CONTRIBUTING."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_target_of_the_makefile_is_told():
    targets = set(re.findall(r"^\.PHONY: (run .+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)[0].split())
    told = "\n".join(path.read_text("utf-8") for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md") if path.exists())
    assert {target for target in targets if f"make {target}" not in told} == set()
