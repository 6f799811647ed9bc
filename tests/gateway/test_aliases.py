"""Names of a key's own for models: whose holds, that they are no way around a model list, and what the ledger keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.subject import Asked, aliased
from support.governing import governed, run
from support.keyed_gateway import KeyedGateway, keyed_gateway
from support.requests import until


def test_the_narrowest_scopes_name_holds() -> None:
    team = Scope(kind="team", id="t", aliases={"fast": "teams", "other": "theirs"})
    _, identity = run(governed(team, Scope(kind="key", id="k", team="t", aliases={"fast": "keys"})))
    assert identity.aliases == {"fast": "keys", "other": "theirs"}


@pytest.mark.parametrize(
    "asked, model, alias",
    [("fast", "small", "fast"), ("small", "large", "small"), ("large", "large", ""), ("other", "other", "")],
)
def test_a_name_stands_for_a_model_once(asked: str, model: str, alias: str) -> None:
    subject = aliased(lambda _: Asked(asked, stream=True, envelope={}), {"fast": "small", "small": "large"})
    assert subject(None) == Asked(model, stream=True, envelope={}, alias=alias)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------- served for real
MODELS = """
  - {name: small, model: custom_openai/echo, AT, input_price: 1, output_price: 1}
  - {name: large, model: custom_openai/canned, AT, input_price: 10000, output_price: 10000}
  - {name: embed, model: openai/embed, AT}
"""
ALIASES = {"fast": "small", "vectors": "embed", "gone": "nowhere", "best": "large"}
MESSAGES = [{"role": "user", "content": "hello"}]
FACES: dict[str, tuple[str, Any]] = {
    "chat": ("/v1/chat/completions", {"model": "fast", "messages": MESSAGES}),
    "chat, streamed": ("/v1/chat/completions", {"model": "fast", "messages": MESSAGES, "stream": True}),
    "responses": ("/v1/responses", {"model": "fast", "input": "hello"}),
    "messages": ("/v1/messages", {"model": "fast", "messages": MESSAGES, "max_tokens": 9}),
    "gemini": ("/v1beta/models/fast:generateContent", {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}),
    "embeddings": ("/v1/embeddings", {"model": "vectors", "input": "hello"}),
}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedGateway]:
    with keyed_gateway(tmp_path_factory.mktemp("aliases"), MODELS) as served:
        yield served


@pytest.mark.parametrize("path, body", FACES.values(), ids=FACES)
def test_every_face_knows_them(keyed: KeyedGateway, path: str, body: Any) -> None:
    assert keyed.ask("POST", path, body, keyed.issue()).status == 404
    told = keyed.ask("POST", path, body, keyed.issue(aliases=ALIASES))
    assert (told.status, told.headers["x-dragoman-deployment"]) == (200, "embed#2" if "embed" in path else "small#0")


def test_the_key_must_be_allowed_the_model_itself(keyed: KeyedGateway) -> None:
    key = keyed.issue(aliases=ALIASES, models=["small", "nowhere"])
    told = {name: keyed.chat(key, name) for name in ("fast", "best", "gone")}
    assert {name: answer.status for name, answer in told.items()} == {"fast": 200, "best": 403, "gone": 404}
    assert b"large" in told["best"].body


def test_a_team_has_them_under_litellms_name(keyed: KeyedGateway) -> None:
    team = keyed.made("/team/new", team_id="blue", model_aliases={"fast": "large"})
    assert team["model_aliases"] == {"fast": "large"}
    key = keyed.issue(team_id="blue")
    assert keyed.chat(key, "fast").headers["x-dragoman-deployment"] == "large#1"
    changed = keyed.made("/key/update", key=key, aliases={"fast": "small"})
    assert changed["aliases"] == {"fast": "small"}
    until(lambda: keyed.chat(key, "fast").headers["x-dragoman-deployment"] == "small#0")


def rows(keyed: KeyedGateway, key: str) -> list[tuple[str, str]]:
    found = keyed.ask("GET", "/spend/logs", key=key).value
    return [(row["model_group"], row["asked_model"]) for row in found]


def test_the_ledger_keeps_both_names_and_a_cheaper_model_comes_after(keyed: KeyedGateway) -> None:
    key = keyed.issue(aliases=ALIASES, max_budget=1, cheaper_models={"models": {"large": "small"}, "at": 0.01})
    assert keyed.chat(key, "best").headers["x-dragoman-deployment"] == "large#1"
    told = keyed.chat(key, "best")
    assert told.headers["x-dragoman-stand-in"] == "small for large"
    until(lambda: len(rows(keyed, key)) == 2)
    assert sorted(rows(keyed, key)) == [("large", "best"), ("small", "best")]


@pytest.mark.parametrize(
    "path, body, problem",
    [
        ("/key/generate", {"aliases": {"fast": 3}}, "aliases"),
        ("/key/generate", {"aliases": ["fast"]}, "aliases"),
        ("/customer/new", {"user_id": "ann", "aliases": ALIASES}, "aliases: not of a end_user"),
        ("/budget/new", {"budget_id": "b", "aliases": ALIASES}, "aliases: not of a budget"),
    ],
)
def test_what_cannot_be_is_refused(keyed: KeyedGateway, path: str, body: Any, problem: str) -> None:
    told = keyed.ask("POST", path, body)
    assert (told.status, problem in told.body.decode()) == (400, True)
