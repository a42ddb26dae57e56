"""The regions that the benches draw, for tests: `draw` of bench/design_regions.py, whose folder is no package."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location("bench_design_regions", Path(__file__).parents[2] / "bench" / "design_regions.py")
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
draw = _module.draw
