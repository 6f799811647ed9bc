#!/usr/bin/env bash
# Make environments with the official GPTRouter clients below the folder $1: the oldest that works, and the newest with LangChain's
# class for it. Tests run them and nobody reads them: they are under the AGPL. The oldest needs Python 3.11 or 3.12; where there is
# none the folder stays empty, and the tests say that they did not run. $2 is a bin folder that may have uv.
set -euo pipefail
folder=$1 bin=$2

python=
for candidate in "${PYTHON:-}" python3.12 python3.11 python3; do
  [ -n "$candidate" ] || continue
  if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if [ -z "$python" ]; then
  echo "The official GPTRouter clients are left out: they need Python 3.11 or 3.12 (set PYTHON=/path/to/python)." >&2
  exit 0
fi

make() {
  local venv=$folder/$1
  shift
  [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
  if ! { [ -x "$bin/uv" ] && "$bin/uv" pip install --quiet --python "$venv/bin/python" --no-deps "$@"; }; then
    "$venv/bin/python" -m pip --quiet --disable-pip-version-check install --no-deps "$@"
  fi
}

common=(annotated-types==0.8.0 anyio==4.16.0 certifi==2026.10.19.post1 h11==0.16.0 httpcore==1.0.9 httpx==0.28.1 idna==3.20
  typing_extensions==4.16.0)
make 0.1.3 GPTRouter==0.1.3 pydantic==2.5.2 pydantic_core==2.14.5 "${common[@]}"
make 1.0.13 GPTRouter==1.0.13 tenacity==9.2.1 pyhumps==3.8.0 pydantic==2.14.3 pydantic_core==2.50.4 "${common[@]}" \
  langchain-community==0.4.2 langchain-classic==1.0.8 langchain-core==1.8.3 langchain-protocol==0.0.20 \
  langchain-text-splitters==1.1.3 langsmith==0.15.1 \
  aiohappyeyeballs==2.7.1 aiohttp==3.14.5 aiosignal==1.4.0 attrs==26.1.0 charset-normalizer==3.5.2 distro==1.9.0 \
  frozenlist==1.8.0 httpcore2==2.16.2 httpx-sse==0.4.3 httpx2==2.16.2 jsonpatch==1.48 jsonpointer==3.12 multidict==7.2.1 \
  numpy==2.4.6 orjson==3.13.0 packaging==26.3 propcache==0.5.4 pydantic-settings==2.16.3 python-dotenv==1.2.4 PyYAML==6.0.4 \
  requests==2.34.2 requests-toolbelt==1.0.0 sniffio==1.3.1 SQLAlchemy==2.1.9 truststore==0.10.5 typing-inspection==0.4.5 \
  urllib3==2.8.0 uuid_utils==0.19.0 websockets==17.4 xxhash==4.1.0 yarl==1.25.1 zstandard==0.25.0
