"""Runs the uv of this environment with the index, wheels, proxy and certificates that pip is configured to use.

uv reads nothing of pip's configuration; a town hall's machine has it and nothing else. A variable that the user gave to uv wins.
Every package is checked by its pinned hash, so it may come from whichever index has it.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

# pip's name, uv's variable, what parts several values there
NAMES = (
    ("index-url", "UV_DEFAULT_INDEX", " "),
    ("extra-index-url", "UV_INDEX", " "),
    ("find-links", "UV_FIND_LINKS", ","),
    ("trusted-host", "UV_INSECURE_HOST", " "),
    ("no-index", "UV_NO_INDEX", " "),
    ("proxy", "HTTPS_PROXY", " "),
    ("cert", "SSL_CERT_FILE", " "),
    ("default-timeout", "UV_HTTP_TIMEOUT", " "),
)


def pip_settings() -> dict[str, str]:
    """pip's own answer to what it is told; the environment goes before the files."""
    listed = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True).stdout
    found: dict[str, dict[str, str]] = {}
    for line in listed.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        found.setdefault(section, {})[key] = str(ast.literal_eval(value))
    return {**found.get("global", {}), **found.get("install", {}), **found.get(":env:", {})}


def main() -> None:
    """Become uv."""
    settings = pip_settings()
    environment = {"UV_INDEX_STRATEGY": "unsafe-best-match", "UV_SYSTEM_CERTS": "true"}
    for pip_name, uv_name, between in NAMES:
        if settings.get(pip_name):
            environment[uv_name] = between.join(settings[pip_name].split())
    uv = Path(sys.executable).parent / "uv"
    os.execve(uv, [str(uv), *sys.argv[1:]], {**environment, **os.environ})


if __name__ == "__main__":
    main()
