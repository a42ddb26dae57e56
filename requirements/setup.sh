#!/bin/sh
# Makes .venv exactly as requirements/dev.txt pins it, and installs kiban into it.
#
# In: a Python of 3.11 or newer with its venv module ($PYTHON, else the first that is found). Out: .venv.
# uv itself comes through pip, checked by hash, so that whatever pip is told (index, wheels, proxy, certificates) is enough.
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "setup: $1" >&2
    exit 1
}

fits() {
    command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' 2>/dev/null
}

python=""
for candidate in ${PYTHON:-python3.11 python3 python3.12 python3.13 python3.14}; do
    if fits "$candidate"; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "no Python of 3.11 or newer was found. Next: apt-get install python3.11 python3.11-venv, or PYTHON=/path/to/python make setup"

if ! fits .venv/bin/python || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
    "$python" -c 'import ensurepip' 2>/dev/null || fail "$python has no venv module. Next: apt-get install python3.11-venv"
    rm -rf .venv
    "$python" -m venv .venv
fi

.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/bootstrap.txt
VIRTUAL_ENV=$PWD/.venv .venv/bin/python requirements/uv.py pip sync --quiet --compile-bytecode --require-hashes requirements/dev.txt
VIRTUAL_ENV=$PWD/.venv .venv/bin/python requirements/uv.py pip install --quiet --no-deps --no-build-isolation --editable .
