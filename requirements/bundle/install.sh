#!/bin/sh
# Installs kiban on this machine out of this folder, without a network: sh install.sh [TARGET]
#
# In: Python @PYTHON@ on @MACHINE@ ($PYTHON, else the first that fits); TARGET, default ~/kiban. Out: TARGET/kiban-serve starts the pages.
# Run it again with a newer bundle and the same TARGET: plans, regions and settings stay, the version before stays beside.
set -eu
cd "$(dirname "$0")"

fail() {
    echo "install.sh: $1" >&2
    exit 1
}

fits() {
    command -v "$1" >/dev/null 2>&1 && [ "$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "@PYTHON@" ]
}

echo "1/4 確かめています / checking"
[ "$(uname -m)" = "@MACHINE@" ] || fail "この束は @MACHINE@ 用、この端末は $(uname -m) / this bundle is for @MACHINE@. 次に / Next: この端末と同じ種類の CPU で make bundle / make bundle on a machine like this one"
problems=$(LC_ALL=C sha256sum --quiet --strict -c SHA256SUMS 2>&1) || {
    echo "$problems" | sed 's/^/  /' >&2
    fail "上のファイルが届いたときと違う / the files above are not as they were packed. 次に / Next: もう一度写す / copy the bundle again"
}

python=""
for candidate in ${PYTHON:-python@PYTHON@ python3}; do
    if fits "$candidate"; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "Python @PYTHON@ がない / no Python @PYTHON@ was found. 次に / Next: Debian 12 の媒体から python3 を入れる、または PYTHON=/path/to/python sh install.sh / install python3 from the Debian 12 disc"

target=${1:-$HOME/kiban}
mkdir -p "$target" || fail "$target に書けない / cannot write. 次に / Next: sh install.sh ほかの場所 / another place"
target=$(cd "$target" && pwd)
version=$(sed -n 's/^kiban==\([^ ]*\) .*/\1/p' requirements.txt)
release=$target/versions/$version-$(sha256sum SHA256SUMS | cut -c1-8)

echo "2/4 入れています / installing: $release"
# pip comes along: Debian keeps the part of Python that would bring it in a package of its own.
rm -rf "$release"
"$python" -m venv --without-pip "$release"
PYTHONPATH=$(echo wheels/pip-*.whl) "$release/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
    --no-index -f wheels --require-hashes --only-binary :all: -r requirements.txt

echo "3/4 解く部分をコンパイルしています / compiling the solver"
"$release/bin/python" -m kiban.design.warm

echo "4/4 始める命令を置いています / placing the command"
mkdir -p "$target/regions" "$target/plans" "$target/state"
for region in regions/*; do
    [ -e "$target/$region" ] || cp -r "$region" "$target/regions/"
done
ln -sfn "$release" "$target/current"
cat >"$target/kiban-serve" <<'SERVE'
#!/bin/sh
# The pages of kiban on this machine; end with Ctrl-C. KIBAN_PORT and other settings are handed on.
here=$(cd "$(dirname "$0")" && pwd)
export KIBAN_STATE="${KIBAN_STATE:-$here/state}"
exec "$here/current/bin/python" -m kiban serve --plans "$here/plans" --regions "$here/regions" "$@"
SERVE
chmod 755 "$target/kiban-serve"

cat <<END

入りました / installed: kiban $version
  始める / start:          $target/kiban-serve
  開く / open:             http://127.0.0.1:8000
  ほかの命令 / commands:   $target/current/bin/kiban --help
  残すもの / to back up:   $target/plans  $target/regions  $target/state
END
ls -d "$target"/versions/* | grep -vF "$release" | sed 's|^|  前の版 / version before: |' || :
