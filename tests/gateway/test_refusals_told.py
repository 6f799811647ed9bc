"""Whatever face refuses a request, whoever watches the gateway is told: once, by the class of the error."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from support.demo_server import demo_server
from support.gateway import RunningGateway, gateway
from support.requests import until

MASTER = "sk-master-of-this-test"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("refusals")
    with demo_server() as demo:
        at = f"api_base: '{demo.url}/v1', api_key: k"
        yaml = f"""
models:
  - {{name: echo, model: openai/echo, {at}}}
  - {{name: down, model: openai/embed?fail=500, {at}}}
server: {{api_key: {MASTER}, drain_seconds: 1}}
retries: 0
governance: {{database: 'sqlite:///{folder}/ledger.db', journal: '{folder}/journal'}}
gptrouter: {{prompts: '{folder}/prompts.db', status: key}}
passthrough: {{providers: [{{name: openai, {at}}}]}}
files: {{providers: [{{name: openai, {at}}}]}}
"""
        with gateway(yaml) as running:
            yield running


def send(served: RunningGateway, method: str, path: str, body: Any = None, key: str = MASTER) -> tuple[int, bytes]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(served.url + path, data=data, headers=headers, method=method)
    try:
        with DIRECT.open(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()


def told(served: RunningGateway) -> dict[str, float]:
    families = parse(send(served, "GET", "/metrics")[1].decode())
    samples = [sample for family in families for sample in family.samples if sample.name == "dragoman_refusals_total"]
    return {sample.labels["reason"]: sample.value for sample in samples}


@pytest.fixture(scope="module")
def keys(served: RunningGateway) -> dict[str, str]:
    def issue(**terms: Any) -> str:
        found: str = json.loads(send(served, "POST", "/key/generate", terms)[1])["key"]
        return found

    return {"wrong": "sk-nobody-knows-this", "other": issue(models=["nothing"]), "plain": issue(), "master": MASTER}


class Refused(NamedTuple):
    """A request with one of the keys, how it is refused, and by what."""

    method: str
    path: str
    body: Any
    key: str
    status: int
    reason: str


MESSAGES = [{"role": "user", "content": "hello"}]
CHAT = {"model": "echo", "messages": MESSAGES}
PICTURES = {"imageVendor": "openai", "model": "echo", "prompt": "p", "numImages": 2}
VECTORS = {"modelName": "echo", "input": ["a"]}
CASES = {
    "chat": Refused("POST", "/v1/chat/completions", CHAT, "other", 403, "PermissionDeniedError"),
    "list": Refused("GET", "/api/v1/model/all", None, "wrong", 401, "InvalidKeyError"),
    "status page": Refused("GET", "/status", None, "wrong", 401, "InvalidKeyError"),
    "new prompt": Refused("POST", "/api/v1/prompt", {}, "plain", 403, "PermissionDeniedError"),
    "bad prompt": Refused("POST", "/api/v1/prompt", {}, "master", 400, "BadRequestError"),
    "generate": Refused("POST", "/api/v1/generate", {"data": []}, "plain", 400, "BadRequestError"),
    "images, no key": Refused("POST", "/api/v1/generate/generate-image", PICTURES, "wrong", 401, "InvalidKeyError"),
    "images, no model": Refused("POST", "/api/v1/generate/generate-image", {}, "plain", 400, "BadRequestError"),
    "images, not for it": Refused("POST", "/api/v1/generate/edit-image", {}, "plain", 400, "BadRequestError"),
    "embeddings": Refused("POST", "/api/v1/generate/embeddings-v2", VECTORS, "other", 403, "PermissionDeniedError"),
    "pass-through": Refused("GET", "/passthrough/openai/v1/models", None, "wrong", 401, "InvalidKeyError"),
    "passed on nowhere": Refused("GET", "/passthrough/acme/v1/models", None, "master", 404, "NotFoundError"),
    "files": Refused("GET", "/v1/files", None, "wrong", 401, "InvalidKeyError"),
    "a file": Refused("GET", "/v1/files/none", None, "master", 404, "NotFoundError"),
    "batches": Refused("POST", "/v1/batches", {}, "wrong", 401, "InvalidKeyError"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_refusal_is_told_once(served: RunningGateway, keys: dict[str, str], case: Refused) -> None:
    before = told(served)
    status, body = send(served, case.method, case.path, case.body, keys[case.key])
    assert (status, bool(json.loads(body))) == (case.status, True)
    assert told(served) == {**before, case.reason: before.get(case.reason, 0) + 1}


def test_a_limit_is_told(served: RunningGateway) -> None:
    key = json.loads(send(served, "POST", "/key/generate", {"rpm_limit": 1})[1])["key"]
    before = told(served).get("RateLimitExceededError", 0)
    statuses = [send(served, "POST", "/api/v1/generate/embeddings-v2", VECTORS, key)[0] for _ in range(3)]
    assert statuses.count(429) == told(served)["RateLimitExceededError"] - before > 0


def test_a_call_that_failed_is_no_refusal(served: RunningGateway, keys: dict[str, str]) -> None:
    before = told(served)
    wish = {"modelName": "down", "input": ["a"]}
    assert send(served, "POST", "/api/v1/generate/embeddings-v2", wish, keys["plain"])[0] == 503
    until(lambda: told(served) == before)
