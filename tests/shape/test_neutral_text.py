"""The text of the project names no folder of one machine and no registry: a clone works wherever pip works."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

# Written in pieces, so that this file does not hold what it looks for.
FOLDERS = [rf"(?<![\w./-])/{name}/" for name in ("work", "root", r"home/(?!clerk)\w+", r"opt/py\w*", "Users")] + [r"\.\./" + "shared"]
HOSTS = ["py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.org", r"deb\." + r"debian\.org", "node" + r"source\.com"]
OPTIONS = ["--find" + "-links", "--index" + "-url", "--extra-index" + "-url"]
FORBIDDEN = re.compile("|".join(FOLDERS + HOSTS + OPTIONS))
BINARY = {".png", ".jpg", ".ico", ".pdf", ".otf", ".ttf", ".woff2", ".xlsx", ".docx", ".tif", ".parquet", ".pbf", ".zip", ".gz", ".hgt"}


def project_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode == 0:
        names = [name for name in listed.stdout.split("\0") if name]
    else:  # an unpacked archive
        names = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [ROOT / name for name in names if Path(name).suffix not in BINARY and (ROOT / name).is_file()]


def test_no_file_names_a_folder_of_one_machine_or_a_registry():
    found = []
    for path in project_files():
        text = path.read_text("utf-8", errors="replace")
        found += [f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, hit.start()) + 1}: {hit.group()}" for hit in FORBIDDEN.finditer(text)]
    assert found == []


def test_every_pinned_package_has_a_hash_and_one_version():
    for file in sorted((ROOT / "requirements").glob("*.txt")):
        pins = re.split(r"\n(?=\S)", file.read_text("utf-8").strip())
        assert pins
        for pin in pins:
            assert re.match(r"[a-z0-9-]+==[\w.]+(?: ; [^\n\\]+)? \\\n    --hash=sha256:[0-9a-f]{64}", pin), f"{file.name}: {pin.splitlines()[0]}"
        names = [pin.split("==")[0] for pin in pins]
        assert names == sorted(set(names))


def test_what_runs_is_pinned_the_same_for_users_and_developers():
    versions = {}
    for file in ("run", "dev", "bootstrap"):
        lines = (ROOT / "requirements" / f"{file}.txt").read_text("utf-8").splitlines()
        versions[file] = {line.split()[0] for line in lines if line[:1].isalnum()}
    assert versions["run"] <= versions["dev"]
    assert versions["bootstrap"] <= versions["dev"]
