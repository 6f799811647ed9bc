"""Log lines: JSON or text, a line for each request, and no secret in any of them."""

from __future__ import annotations

import io
import json
import logging
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.chat import Usage
from dragoman.core.errors import InternalServerError
from dragoman.engine.call import Attempt
from dragoman.gateway.observing.entries import LogsEntry
from dragoman.gateway.observing.logs import HIDDEN, NAMES, JsonLines, Redaction, RequestLines, learn, set_up
from dragoman.gateway.observing.requests import Ended
from support.demo_server import demo_server
from support.gateway import gateway
from support.governing import call, deployment

SECRET = "my-own-secret-key"


class Seen:
    """As much of an exchange as a line tells of."""

    client = "203.0.113.9:5000"
    path = b"/v1/chat/completions"


def ended(**more: Any) -> Ended:
    given: dict[str, Any] = {
        "operation": "chat",
        "dialect": "openai_chat",
        "exchange": Seen(),
        "identity": b"req-1",
        "who": None,
        "call": None,
        "status": 200,
        "seconds": 0.25,
        "error": None,
    }
    return Ended(**(given | more))


def line(told: Ended, kind: Any = "json") -> str:
    out = io.BytesIO()
    RequestLines(LogsEntry(format=kind), Redaction([SECRET]), out)(told)
    (text,) = out.getvalue().decode().splitlines()
    return text


def test_a_line_tells_what_became_of_a_request() -> None:
    made = call(usage=Usage(input_tokens=1_000_000, output_tokens=5))
    found = json.loads(line(ended(call=made)))
    expected = {
        "level": "info",
        "event": "request",
        "id": "req-1",
        "client": "203.0.113.9:5000",
        "path": "/v1/chat/completions",
        "operation": "chat",
        "dialect": "openai_chat",
        "status": 200,
        "ms": 250.0,
        "model": "m",
        "stream": False,
        "attempts": 1,
        "deployment": "openai/gpt-4o-mini",
        "provider": "openai",
        "input_tokens": 1_000_000,
        "output_tokens": 5,
        "cost_usd": 0.150003,
    }
    assert {name: found[name] for name in expected} == expected
    assert found["time"].endswith("Z")
    assert "trail" not in found


def test_several_attempts_leave_a_trail() -> None:
    made = call(sent=False)
    made.attempts = [
        Attempt(deployment(), 1.0, 2.0, InternalServerError("broken")),
        Attempt(deployment(), 2.0, 3.0, reason="hedge"),
    ]
    assert json.loads(line(ended(call=made)))["trail"] == [
        {"deployment": "openai/gpt-4o-mini", "error": "InternalServerError"},
        {"deployment": "openai/gpt-4o-mini", "error": None, "reason": "hedge"},
    ]


def test_a_refusal_has_a_line_without_a_call() -> None:
    found = json.loads(line(ended(status=402, error=InternalServerError(f"broken by {SECRET}"))))
    assert (found["status"], found["error"]) == (402, "InternalServerError")
    assert found["error_message"] == f"broken by {HIDDEN}"
    assert "model" not in found


def test_text_is_one_line_too() -> None:
    text = line(ended(error=InternalServerError("two\nlines\rand \x1b[2J\u2028more"), call=call()), "text")
    assert "request id=req-1" in text
    assert text.isprintable()
    assert "status=200" in text


SECRETS = [
    "sk-proj-abcdefghijklmnop",
    "Bearer abcdefgh12345678",
    "AIzaSyA1234567890123456789012345678901",
    "AKIAIOSFODNN7EXAMPLE",
    "postgresql://user:password@db.test/x",
    "redis://:password@db.test:6379/0",
    "https://host.test/path?key=abcdef&x=1",
    f"a text with {SECRET} in it",
]


@pytest.mark.parametrize("text", SECRETS)
@pytest.mark.parametrize("place", ["message", "argument", "traceback"])
def test_secrets_are_taken_out_wherever_they_stand(text: str, place: str) -> None:
    logger, out = logging.getLogger("dragoman.tests.redaction"), io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(JsonLines())
    handler.addFilter(Redaction([SECRET, "short"]))
    logger.handlers, logger.propagate = [handler], False
    if place == "traceback":
        try:
            raise ValueError(text)
        except ValueError:
            logger.exception("it failed")
    else:
        logger.warning(text if place == "message" else "%s", *([] if place == "message" else [text]))
    found = json.loads(out.getvalue())
    secret = next(part for part in (SECRET, "abcdefgh", "A123456789", "AKIAIOSF", "password", "=abcdef") if part in text)
    assert secret not in out.getvalue()
    assert HIDDEN in found["traceback" if place == "traceback" else "message"]


def test_what_is_learnt_later_is_taken_out_too(capsys: pytest.CaptureFixture[str]) -> None:
    before = {name: (logging.getLogger(name).handlers, logging.getLogger(name).level) for name in NAMES}
    try:
        set_up(LogsEntry(), ["the-first-secret"])
        learn(["a-later-secret", "short"])
        for name in NAMES:
            logging.getLogger(name).error("the-first-secret, a-later-secret, short")
    finally:
        for name, (handlers, level) in before.items():
            logging.getLogger(name).handlers = handlers
            logging.getLogger(name).setLevel(level)
    assert capsys.readouterr().err.count(f"{HIDDEN}, {HIDDEN}, short") == len(NAMES)


def test_ordinary_words_stay() -> None:
    text = "The key of the task-force is at https://api.test/v1: use Authorization: Bearer KEY; user@host.test"
    assert Redaction(["short"]).clean(text) == text


CONFIG = """
models:
  - {{name: echo, id: echo-1, model: openai/echo, api_base: '{base}', api_key: sk-upstream-of-the-test}}
server: {{host: 0.0.0.0}}
logs: {{format: json, level: info, requests: true}}
"""


def test_a_served_gateway_writes_json_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with demo_server() as demo, gateway(CONFIG.format(base=demo.openai_url), log=log) as served:
        for model in ("echo", "nobody"):
            body = json.dumps({"model": model, "messages": [{"role": "user", "content": "hi"}]}).encode()
            request = urllib.request.Request(f"{served.openai_url}/chat/completions", body, {"x-request-id": f"of-{model}"})
            try:
                urllib.request.urlopen(request).read()
            except urllib.error.HTTPError as refused:
                refused.close()
    lines = [json.loads(text) for text in log.read_text().splitlines()]
    requests = {found["id"]: found for found in lines if found.get("event") == "request"}
    assert requests["of-echo"]["deployment"] == "echo-1"
    assert requests["of-nobody"]["error"] == "NotFoundError"
    assert any("Whoever reaches" in found.get("message", "") for found in lines)
    assert "sk-upstream" not in log.read_text()
