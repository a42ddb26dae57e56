"""The bundle for offices without internet: what goes in, and what install.sh does with it. The real one is installed and walked by bench/bundle.py."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
STUB = {
    "kiban/__init__.py": "",
    "kiban/__main__.py": "import os, sys\nprint('serving', *sys.argv[1:], os.environ['KIBAN_STATE'])\n",
    "kiban/design/__init__.py": "",
    "kiban/design/warm.py": "print('kernels ready')\n",
    "kiban-0.1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: kiban\nVersion: 0.1.0\n",
    "kiban-0.1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "kiban-0.1.0.dist-info/RECORD": "",
}


@pytest.fixture(scope="module")
def bundle() -> ModuleType:
    spec = importlib.util.spec_from_file_location("requirements_bundle", ROOT / "requirements" / "bundle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pip_wheel() -> Path:
    """The pip that Python itself brings."""
    import ensurepip

    folders = (Path(ensurepip.__file__).parent / "_bundled", Path("/usr/share/python-wheels"))
    found = [path for folder in folders for path in folder.glob("pip-*.whl")]
    if not found:
        pytest.skip("needs the wheel of pip that Python brings (apt-get install python3-venv)")
    return found[0]


@pytest.fixture
def packed(tmp_path: Path, bundle: ModuleType) -> Path:
    """A bundle with a kiban that does nothing, unpacked under a name with a blank."""
    top = tmp_path / "on a disk" / "kiban-0.1.0"
    (top / "wheels").mkdir(parents=True)
    with zipfile.ZipFile(top / "wheels" / "kiban-0.1.0-py3-none-any.whl", "w") as wheel:
        for name, text in STUB.items():
            wheel.writestr(name, text)
    (top / "wheels" / pip_wheel().name).write_bytes(pip_wheel().read_bytes())
    (top / "regions" / "okunoto").mkdir(parents=True)
    (top / "regions" / "okunoto" / "region.yaml").write_text("id: okunoto\n", encoding="utf-8")
    bundle.finish(top)
    return top


def install(top: Path, target: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    # An index that nobody answers: whatever asked for one would fail.
    given = {"PATH": os.environ["PATH"], "HOME": str(target.parent), "PYTHON": sys.executable, "PIP_INDEX_URL": "http://127.0.0.1:9/", **environment}
    return subprocess.run(["sh", str(top / "install.sh"), str(target)], env=given, capture_output=True, text=True)


def test_it_installs_without_an_index_and_writes_a_command_that_serves_from_its_own_folders(packed: Path, tmp_path: Path):
    target = tmp_path / "town hall"
    done = install(packed, target)
    assert done.returncode == 0, done.stderr
    assert "kernels ready" in done.stdout
    assert f"{target}/kiban-serve" in done.stdout
    assert (target / "regions" / "okunoto" / "region.yaml").exists()
    served = subprocess.run([target / "kiban-serve", "--x"], capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    assert served.stdout.strip() == f"serving serve --plans {target}/plans --regions {target}/regions --x {target}/state"


def test_a_newer_bundle_leaves_plans_and_regions_alone_and_keeps_the_version_before(packed: Path, tmp_path: Path, bundle: ModuleType):
    target = tmp_path / "town hall"
    assert install(packed, target).returncode == 0
    before = (target / "current").readlink()
    (target / "regions" / "okunoto" / "region.yaml").write_text("id: okunoto\nname: ours\n", encoding="utf-8")
    (target / "plans" / "mine").mkdir()
    (packed / "regions" / "okunoto" / "sites.csv").write_text("id\n", encoding="utf-8")
    bundle.finish(packed)
    done = install(packed, target)
    assert done.returncode == 0, done.stderr
    assert "ours" in (target / "regions" / "okunoto" / "region.yaml").read_text("utf-8")
    assert (target / "plans" / "mine").is_dir()
    assert (target / "current").readlink() != before
    assert str(before) in done.stdout
    assert before.is_dir()


@pytest.mark.parametrize("name", ["wheels/kiban-0.1.0-py3-none-any.whl", "requirements.txt", "regions/okunoto/region.yaml"])
@pytest.mark.parametrize("gone", [True, False])
def test_a_file_that_is_not_as_it_was_packed_is_named_and_nothing_is_installed(packed: Path, tmp_path: Path, name: str, gone: bool):
    if gone:
        (packed / name).unlink()
    else:
        (packed / name).write_bytes((packed / name).read_bytes() + b"\n")
    done = install(packed, tmp_path / "target")
    assert done.returncode == 1
    assert name in done.stderr
    assert "copy the bundle again" in done.stderr
    assert not (tmp_path / "target").exists()


def test_another_python_is_refused_with_the_next_step(packed: Path, tmp_path: Path):
    other = tmp_path / "python"
    other.write_text("#!/bin/sh\necho 3.9\n", encoding="utf-8")
    other.chmod(0o755)
    done = install(packed, tmp_path / "target", PYTHON=str(other))
    assert done.returncode == 1
    assert f"no Python {HERE} was found" in done.stderr
    assert not (tmp_path / "target").exists()


def test_requirements_name_every_wheel_with_the_hash_it_has_here(packed: Path, bundle: ModuleType):
    assert (packed / "requirements.txt").read_text(
        "utf-8"
    ) == f"kiban==0.1.0 --hash=sha256:{bundle.digest(packed / 'wheels' / 'kiban-0.1.0-py3-none-any.whl')}\n"
    assert platform.machine() in (packed / "README.ja.md").read_text("utf-8")
    assert "@" not in (packed / "README.md").read_text("utf-8")


def test_the_same_files_make_the_same_archive(packed: Path, tmp_path: Path, bundle: ModuleType):
    one, two = (bundle.pack(packed, tmp_path / f"{name}.tar.gz") for name in ("one", "two"))
    with tarfile.open(one) as first, tarfile.open(two) as second:
        assert [(member.name, member.size, member.mtime, member.mode) for member in first] == [
            (member.name, member.size, member.mtime, member.mode) for member in second
        ]
        assert {member.name for member in first} >= {"kiban-0.1.0/install.sh", "kiban-0.1.0/SHA256SUMS", "kiban-0.1.0/regions/okunoto/region.yaml"}
        assert first.getmember("kiban-0.1.0/install.sh").mode & 0o111


def test_the_wheel_of_kiban_holds_pages_fonts_data_and_migrations(tmp_path: Path, bundle: ModuleType):
    if not any((ROOT / place).glob("*") for place in bundle.NEEDED):
        pytest.skip("needs the files of the pages (make setup)")
    with zipfile.ZipFile(bundle.wheel(tmp_path)) as wheel:
        names = wheel.namelist()
    for part in ("web/static/vendor/", "web/templates/base.html", "documents/fonts/", "data/cases/", "data/words/ja.yaml", "store/migrations/", "py.typed"):
        assert any(name.startswith(f"kiban/{part}") for name in names), part
    assert not any("__pycache__" in name for name in names)
