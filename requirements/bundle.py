"""Packs everything that an office without internet needs into one archive: `python requirements/bundle.py [--wheels DIR]`.

In: this checkout after `make setup` (pages and fonts are there), and the wheels that requirements/run.txt and pip.txt pin: from the index, or with
--wheels from a folder. Out: dist/kiban-<version>-bundle.tar.gz for this Python and this kind of processor:

    wheels/            kiban, all it needs, and pip
    requirements.txt   each of them with the hash of the wheel that lies here
    regions/okunoto    the example
    install.sh         checks, installs, compiles and starts, without a network
    README.md …        what to do, in both languages
    SHA256SUMS         of every file above
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PARTS = Path(__file__).with_name("bundle")
PINNED = ("run.txt", "pip.txt")
# A wheel without these has pages without a map or papers without characters.
NEEDED = ("src/kiban/web/static/vendor", "src/kiban/documents/fonts")


def main() -> int:
    """Make the archive; prints its place and size."""
    parser = argparse.ArgumentParser(description="Pack kiban for a machine without internet.")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="take the wheels from this folder, not from the index")
    parser.add_argument("--out", type=Path, metavar="DIR", default=ROOT / "dist", help="where the archive goes (dist)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        kiban = wheel(Path(folder) / "kiban")
        name = f"kiban-{kiban.name.split('-')[1]}"
        top = Path(folder) / name
        (top / "wheels").mkdir(parents=True)
        fetch(top / "wheels", args.wheels)
        shutil.move(kiban, top / "wheels")
        shutil.copytree(ROOT / "examples" / "okunoto", top / "regions" / "okunoto")
        finish(top)
        args.out.mkdir(parents=True, exist_ok=True)
        archive = pack(top, args.out / f"{name}-bundle.tar.gz")
        count = len(list((top / "wheels").iterdir()))
    print(f"{archive}: {count} wheels, {archive.stat().st_size / 1e6:.0f} MB, Python {python_version()} on {platform.machine()}")
    return 0


def wheel(folder: Path) -> Path:
    """kiban's own wheel, with pages and fonts."""
    for place in NEEDED:
        if not any((ROOT / place).glob("*")):
            raise SystemExit(f"bundle: {place} is empty. Next: make setup")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob("kiban-*.whl"))


def fetch(folder: Path, own: Path | None) -> None:
    """The pinned wheels, each checked by its hash."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes", "--only-binary", ":all:"]
    command += [] if own is None else ["--no-index", "-f", str(own)]
    for pins in PINNED:
        subprocess.run([*command, "--dest", str(folder), "--requirement", str(ROOT / "requirements" / pins)], check=True)


def finish(top: Path) -> None:
    """Write requirements, the installer, the instructions and the sums beside wheels and regions."""
    wheels = sorted((top / "wheels").glob("*.whl"))
    lines = [f"{named(path)} --hash=sha256:{digest(path)}" for path in wheels if not path.name.startswith("pip-")]
    (top / "requirements.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for part in sorted(PARTS.iterdir()):
        text = part.read_text(encoding="utf-8")
        (top / part.name).write_text(text.replace("@PYTHON@", python_version()).replace("@MACHINE@", platform.machine()), encoding="utf-8")
    (top / "install.sh").chmod(0o755)
    files = sorted(path for path in top.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = "".join(f"{digest(path)}  {path.relative_to(top).as_posix()}\n" for path in files)
    (top / "SHA256SUMS").write_text(sums, encoding="utf-8")


def named(path: Path) -> str:
    """Name and version that a wheel's file name states.

    >>> named(Path("python_docx-1.2.0-py3-none-any.whl"))
    'python-docx==1.2.0'
    """
    name, version = path.name.split("-")[:2]
    return f"{re.sub('[-_.]+', '-', name).lower()}=={version}"


def digest(path: Path) -> str:
    """sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pack(top: Path, archive: Path) -> Path:
    """The folder as an archive, the same bytes for the same files; wheels are packed already, so it is packed lightly."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.mtime, member.uid, member.gid, member.uname, member.gname = 0, 0, 0, "", ""
        return member

    new = archive.with_suffix(".new")
    with tarfile.open(new, "w:gz", compresslevel=1) as tar:
        for path in [top, *sorted(top.rglob("*"))]:
            tar.add(path, arcname=path.relative_to(top.parent).as_posix(), recursive=False, filter=plain)
    new.replace(archive)
    return archive


def python_version() -> str:
    """The Python that the wheels are for: 3.11."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


if __name__ == "__main__":
    sys.exit(main())
