#!/usr/bin/env bash
# Make a virtual environment at $1 with what the lock file $2 names, and this package in it. Needs Python 3.11 or newer.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=$1 lock=$2

python=
for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
  [ -n "$candidate" ] || continue
  if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "Dragoman needs Python 3.11 or newer; none was found (set PYTHON=/path/to/python)." >&2
  exit 1
fi

if [ ! -x "$venv/bin/python" ]; then
  if ! "$python" -m venv "$venv"; then
    rm -rf "$venv"
    echo "$python cannot make a virtual environment; on Debian: apt-get install python3-venv" >&2
    exit 1
  fi
fi
pip() { "$venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }

# uv installs in seconds what takes pip a minute; where it cannot (an index that only pip's configuration names), pip does.
pip install --require-hashes -r requirements/uv.lock || true
if ! { [ -x "$venv/bin/uv" ] && "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --require-hashes -r "$lock"; }; then
  pip install --require-hashes -r "$lock"
fi
pip install --no-deps --no-build-isolation -e .
