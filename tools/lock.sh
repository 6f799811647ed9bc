#!/usr/bin/env bash
# Renew the lock files: exact versions and hashes for every platform, without the name of any index. $1 is a bin folder with uv.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  "$1/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
    --no-emit-index-url --output-file "$2" "${@:3}"
}
compile "$1" requirements/dev.lock pyproject.toml requirements/dev.in --extra gateway --extra local --extra langchain \
  --extra postgres --extra redis --extra oidc --extra guardrails --extra presidio --extra secrets --extra progress --extra otel \
  --extra aws --extra azure --extra google --extra tokens
compile "$1" requirements/demo.lock pyproject.toml requirements/demo.in --extra gateway --extra local
compile "$1" requirements/langchain.lock pyproject.toml requirements/langchain.in --extra gateway --extra langchain --extra local --extra tokens
compile "$1" requirements/litellm.lock pyproject.toml requirements/litellm.in --extra langchain
compile "$1" requirements/schemathesis.lock requirements/schemathesis.in
compile "$1" requirements/uv.lock requirements/uv.in
