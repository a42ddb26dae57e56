"""Copy the pinned files of node_modules into the package, each checked against its sha256.

In: assets/node_modules (npm ci), assets/files.txt with one line per file: sha256, source, target folder.
Out: src/kiban/web/static/vendor/ and src/kiban/documents/fonts/. `--write` records the sums of what is there now.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "src" / "kiban"


def main(write: bool) -> int:
    """Copy all files; 1 when a file is not what files.txt says."""
    lines = [line.split() for line in (HERE / "files.txt").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    out = []
    for recorded, source, target in lines:
        path = HERE / "node_modules" / source
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if not write and found != recorded:
            print(f"assets/files.txt: {source} has sha256 {found}, expected {recorded}. Next: run npm ci in assets/ again", file=sys.stderr)
            return 1
        folder = PACKAGE / target
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / path.name)
        out.append(f"{found} {source} {target}")
    if write:
        (HERE / "files.txt").write_text("# sha256 · file in node_modules · folder in the package\n" + "\n".join(out) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv))
