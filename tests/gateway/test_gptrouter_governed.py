"""GPTRouter's face under governance: every route asks it, as the other faces do, and the ledger says what happened."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from support.demo_server import demo_server
from support.gateway import RunningGateway, gateway
from support.requests import until

MASTER = "sk-master-of-this-test"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PRICED = "input_price: 1000, output_price: 1000"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("governed")
    with demo_server() as demo:
        at = f"api_base: '{demo.url}/v1', api_key: k, {PRICED}"
        yaml = f"""
models:
  - {{name: echo, model: openai/echo, {at}}}
  - {{name: other, model: openai/echo, {at}}}
  - {{name: down, model: openai/echo?fail=500, {at}}}
  - {{name: embed, model: openai/embed, {at}}}
  - {{name: chat, model: custom_openai/echo, {at}}}
router: {{cooldown: {{enabled: false}}}}
retries: 0
server: {{api_key: {MASTER}, drain_seconds: 1}}
governance: {{database: 'sqlite:///{folder}/ledger.db', journal: '{folder}/journal'}}
gptrouter: {{prompts: '{folder}/prompts.db', history: '{folder}/health.db', status: key, optimizer: echo}}
"""
        with gateway(yaml) as running:
            yield running


def call(
    served: RunningGateway, method: str, path: str, body: Any = None, key: str | None = MASTER, **headers: str
) -> tuple[int, Any]:
    """The status and what came: JSON, or the events of a stream."""
    data = None if body is None else json.dumps(body).encode()
    shown = headers | ({} if key is None else {"ws-secret": key})
    request = urllib.request.Request(served.url + path, data=data, headers=shown, method=method)
    try:
        with DIRECT.open(request, timeout=20) as answer:
            status, kind, text = answer.status, answer.headers["content-type"], answer.read()
    except urllib.error.HTTPError as refused:
        status, kind, text = refused.code, refused.headers["content-type"], refused.read()
    if kind.startswith("text/event-stream"):
        return status, [json.loads(line[6:]) for line in text.split(b"\n") if line.startswith(b"data: {")]
    return status, json.loads(text) if kind == "application/json" else text


def issue(served: RunningGateway, **terms: Any) -> str:
    request = urllib.request.Request(
        f"{served.url}/key/generate",
        data=json.dumps(terms).encode(),
        headers={"authorization": f"Bearer {MASTER}", "content-type": "application/json"},
    )
    with DIRECT.open(request, timeout=20) as answer:
        return json.load(answer)["key"]


class Asked(NamedTuple):
    """A route that calls a model, and a request for it that is right in all else."""

    path: str
    body: Callable[[str], Any]


def _candidates(model: str, **params: Any) -> Any:
    return {"data": [{"order": 1, "modelName": model, "promptParams": params}]}


MESSAGES = [{"role": "user", "content": "hello there"}]
QUESTIONS = {"q": {"type": "noul", "instructions": "is it?"}}
ROUTES = {
    "plain": Asked("/generate", lambda model: _candidates(model, messages=MESSAGES, max_tokens=20)),
    "stream": Asked("/generate", lambda model: {**_candidates(model, messages=MESSAGES, max_tokens=20), "stream": True}),
    "vision": Asked(
        "/generate/image",
        lambda model: {"data": {"model": model, "imageUrl": "http://x/y.png", "promptParams": {"prompt": "?"}}},
    ),
    "image": Asked(
        "/generate/generate-image", lambda model: {"imageVendor": "openai", "model": model, "prompt": "p", "numImages": 2}
    ),
    "edit": Asked("/generate/edit-image", lambda model: {"model": model, "image": "aGk=", "prompt": "p"}),
    "embeddings": Asked("/generate/embeddings", lambda model: _candidates(model, input=["a"])),
    "embeddings-v2": Asked("/generate/embeddings-v2", lambda model: {"modelName": model, "input": ["a"]}),
    "system-one": Asked(
        "/generate/system-one",
        lambda model: _candidates(model, state={"kind": "text", "text": "s"}, questions=QUESTIONS),
    ),
}


def ask(served: RunningGateway, route: str, key: str | None, model: str = "echo") -> tuple[int, str]:
    """The status that is told, wherever that stands, and the message."""
    asked = ROUTES[route]
    status, found = call(served, "POST", f"/api/v1{asked.path}", asked.body(model), key)
    if isinstance(found, list):
        assert status == 200
        found = found[-1]
        return (found["data"]["statusCode"], found["message"]) if found["event"] == "error" else (200, "")
    return status, found.get("message", "")


@pytest.fixture(scope="module")
def keys(served: RunningGateway) -> dict[str, str | None]:
    """A key for each reason to be refused."""
    expired, blocked, spent = issue(served, duration="1s"), issue(served), issue(served, max_budget=0.001)
    assert call(served, "POST", "/key/block", {"key": blocked}, None, authorization=f"Bearer {MASTER}")[0] == 200
    assert ask(served, "plain", spent)[0] == 200
    until(lambda: ask(served, "plain", blocked)[0] == 403)
    until(lambda: ask(served, "plain", expired)[0] == 401)
    return {
        "none": None,
        "wrong": "sk-nobody-knows-this-key",
        "expired": expired,
        "blocked": blocked,
        "for another model": issue(served, models=["other"]),
        "spent": spent,
    }


REFUSALS = {"none": 401, "wrong": 401, "expired": 401, "blocked": 403, "for another model": 403, "spent": 403}


@pytest.mark.parametrize("reason", REFUSALS)
@pytest.mark.parametrize("route", ROUTES)
def test_a_route_refuses_as_the_other_faces_do(
    served: RunningGateway, keys: dict[str, str | None], route: str, reason: str
) -> None:
    status, message = ask(served, route, keys[reason])
    assert (status, bool(message)) == (REFUSALS[reason], True)
    assert (keys[reason] or "sk-") not in message


@pytest.mark.parametrize("route", ROUTES)
def test_a_limit_holds_on_every_route(served: RunningGateway, route: str) -> None:
    """Of two requests one may fall into the next minute: of three, one after another at once, the last does not."""
    limited = issue(served, rpm_limit=1)
    assert 429 in [ask(served, route, limited)[0] for _ in range(3)]


def test_a_stored_prompt_asks_too(served: RunningGateway, keys: dict[str, str | None]) -> None:
    made = {"title": "t", "models": ["echo"], "promptParams": {"messages": MESSAGES, "max_tokens": 20}}
    _, prompt = call(served, "POST", "/api/v1/prompt", made)
    wanted = {"data": {"promptId": prompt["id"], "inputData": {}}}
    assert call(served, "POST", "/api/v1/generate/prompt", wanted, issue(served))[0] == 200
    for reason, status in REFUSALS.items():
        assert call(served, "POST", "/api/v1/generate/prompt", wanted, keys[reason])[0] == status
    assert call(served, "POST", "/api/v1/prompt/optimize", {"messages": MESSAGES}, issue(served, models=["other"]))[0] == 403


RUN = {"prompt_id": "", "prompt_variables": {"who": "Ann"}, "prompt_label": "tried", "max_tokens": 20}
FACES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "chat completions": ("/v1/chat/completions", lambda group: {**RUN, "prompt_id": group}),
    "responses": ("/v1/responses", lambda group: {**RUN, "prompt_id": group}),
    "messages": ("/v1/messages", lambda group: {**RUN, "prompt_id": group}),
    "gemini": ("/v1beta/models/chat:generateContent", lambda group: {**RUN, "prompt_id": group}),
    "gptrouter": (
        "/api/v1/generate/prompt",
        lambda group: {"data": {"promptId": group, "label": "tried", "inputData": {"who": "Ann"}}},
    ),
}


@pytest.mark.parametrize("face", FACES)
def test_the_ledger_knows_which_prompt_ran_on_every_face(served: RunningGateway, face: str) -> None:
    made = {"title": face, "models": ["chat"], "promptParams": {"prompt": "Hello {{who}}"}}
    group = call(served, "POST", "/api/v1/prompt", made)[1]["id"]
    assert call(served, "PUT", f"/api/v1/prompt/{group}/label", {"label": "tried"})[0] == 200
    path, body = FACES[face]
    status, answered = call(served, "POST", path, body(group), None, authorization=f"Bearer {issue(served)}")
    assert (status, "Hello Ann" in json.dumps(answered)) == (200, True)

    def rows() -> Any:
        bearer = f"Bearer {MASTER}"
        return call(served, "GET", f"/spend/logs?tag=prompt:{group}%23tried", None, None, authorization=bearer)[1]

    until(lambda: len(rows()) == 1)
    assert rows()[0]["request_tags"] == [f"prompt:{group}@1", f"prompt:{group}#tried"]


def test_what_parameters_say_of_a_conversation_is_in_the_ledger_too(served: RunningGateway) -> None:
    """Newer clients write it there."""
    told = {"history_id": "of the parameters", "tag": "theirs", "user_id": "eve"}
    assert call(served, "POST", "/api/v1/generate", _candidates("echo", messages=MESSAGES, **told), issue(served))[0] == 200

    def rows() -> Any:
        bearer = f"Bearer {MASTER}"
        return call(served, "GET", "/spend/logs?session_id=of%20the%20parameters", None, None, authorization=bearer)[1]

    until(lambda: len(rows()) == 1)
    assert (rows()[0]["request_tags"], rows()[0]["end_user"]) == (["theirs"], "eve")


def test_every_candidate_must_be_allowed(served: RunningGateway) -> None:
    body = {"data": [{"order": n, "modelName": name} for n, name in enumerate(("other", "echo"))]}
    body["data"][0]["promptParams"] = {"messages": MESSAGES}
    status, told = call(served, "POST", "/api/v1/generate", body, issue(served, models=["other"]))
    assert (status, "echo" in told["message"]) == (403, True)


@pytest.mark.parametrize("path", ["/provider/all", "/model/all", "/prompt/all", "/healthcheck", "/status"])
def test_any_key_may_read(served: RunningGateway, path: str) -> None:
    path = path if path == "/status" else f"/api/v1{path}"
    assert call(served, "GET", path, key=issue(served))[0] == 200
    assert call(served, "GET", path, key="sk-nobody-knows-this-key")[0] == 401


def test_what_all_keys_did_is_for_admins_and_prompts_for_who_may_manage(served: RunningGateway) -> None:
    key = issue(served)
    assert call(served, "GET", "/api/v1/model-usage/model", key=key)[0] == 403
    assert call(served, "GET", "/api/v1/model-usage/model")[0] == 200
    assert call(served, "POST", "/api/v1/prompt", {"title": "t", "promptParams": {"prompt": "x"}}, key)[0] == 403
    assert call(served, "DELETE", "/api/v1/prompt/x", key=key)[0] == 403


@pytest.mark.parametrize("stream", [False, True])
def test_the_ledger_has_both_attempts_the_labels_and_what_was_spent(served: RunningGateway, *, stream: bool) -> None:
    key, tag = issue(served), f"ours-{stream}"
    body = {"data": [{"order": n, "modelName": name} for n, name in enumerate(("down", "echo"))], "tag": tag, "appId": "a1"}
    body["data"][0]["promptParams"] = {"messages": MESSAGES, "max_tokens": 20}
    labels = {"createdByUserId": "ann", "historyId": f"conversation {tag}"}
    status, answered = call(served, "POST", "/api/v1/generate", {**body, **labels, "stream": stream}, key)
    assert status == 200
    meta = next(event for event in answered if event["event"] == "meta")["data"] if stream else answered["meta"]

    def rows() -> Any:
        bearer = f"Bearer {MASTER}"
        return call(served, "GET", f"/spend/logs?session_id=conversation%20{tag}", None, None, authorization=bearer)[1]

    until(lambda: len(rows()) == 1)
    (row,) = rows()
    assert row["session_id"] == f"conversation {tag}"
    assert [attempt["deployment"] for attempt in row["attempts"]] == ["down#2", "echo#0"]
    assert "InternalServerError" in str(row["attempts"][0])
    assert set(row["request_tags"]) >= {tag, "app:a1"}
    assert row["end_user"] == "ann"
    assert row["spend"] == pytest.approx((meta["prompt_tokens"] + meta["completion_tokens"]) * 1e-3)


def test_the_master_key_without_a_user_has_its_row(served: RunningGateway) -> None:
    identity = "the-row-of-the-master-key"
    asked = ROUTES["plain"]
    headers = {"x-request-id": identity}
    assert call(served, "POST", "/api/v1/generate", asked.body("echo"), **headers)[0] == 200

    def rows() -> Any:
        return call(served, "GET", "/spend/logs", None, None, authorization=f"Bearer {MASTER}")[1]

    until(lambda: any(identity in json.dumps(row) for row in rows()))
