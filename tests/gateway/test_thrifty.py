"""Cheaper models while a budget is nearly spent: when, for whom, and that nobody is left to guess."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from dragoman.core.errors import ConfigurationError
from dragoman.gateway.config import read
from dragoman.gateway.governance.budgets import NANO, Budget, Increase
from dragoman.gateway.governance.governance import Policy
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.governance.thrift import Thrift
from support.demo_server import demo_server
from support.gateway import RunningGateway, gateway
from support.governing import NOW, facts, governed, run
from support.requests import until

THRIFT = Thrift(models={"dear-2": "cheap-2", "dear*": "cheap", "*": "least"})


@pytest.mark.parametrize(
    "asked, found", [("dear", "cheap"), ("dear-2", "cheap-2"), ("other", "least"), ("least", None), ("cheap", "least")]
)
def test_a_name_goes_before_globs_and_nothing_stands_in_for_itself(asked: str, found: str | None) -> None:
    assert THRIFT.stand_in(asked) == found


TO_CHEAP = Thrift(models={"m": "cheap"}, percent=80)


@pytest.mark.parametrize(
    "scope, taken, found",
    [
        ({"budgets": (Budget(nano=100),)}, 79, None),
        ({"budgets": (Budget(nano=100),)}, 80, "cheap"),
        ({"budgets": (Budget(nano=100), Budget(nano=1000, span="1d"))}, 80, "cheap"),
        ({"budgets": (Budget(nano=100, model="m"),)}, 80, "cheap"),
        ({"budgets": (Budget(nano=100, model="other"),)}, 80, None),
        ({"budgets": (Budget(nano=100, tag="t"),)}, 80, None),
        ({"budgets": (Budget(nano=100, tag="t"),), "tags": ("t",)}, 80, "cheap"),
        ({"budgets": (Budget(nano=100, increases=(Increase(nano=100, until=NOW + 1),)),)}, 80, None),
        ({"budgets": ()}, 80, None),
    ],
)
def test_what_is_spent_or_held_of_a_budget_decides(scope: dict[str, Any], taken: int, found: str | None) -> None:
    governance, identity = run(governed(Scope(kind="key", id="k", thrift=TO_CHEAP, **scope)))
    run(governance.prepare(identity, facts(nano=taken), NOW))
    hold = governance.admit(identity, facts(nano=taken), NOW)
    told = identity.stand_in("m", (), governance.book, NOW)
    assert (told and told.model) == found
    governance.release(hold, NOW)
    assert identity.stand_in("m", (), governance.book, NOW) is None


@pytest.mark.parametrize("kind", ["organization", "team", "user"])
def test_the_narrowest_scope_that_wants_it_decides(kind: str) -> None:
    above = Scope(kind=kind, id="x", budgets=(Budget(nano=NANO),), thrift=TO_CHEAP)
    wide = Scope(kind="key", id="k", budgets=(Budget(nano=10 * NANO),), thrift=Thrift(models={"m": "own"}), **{kind: "x"})
    governance, identity = run(governed(above, wide))
    governance.admit(identity, facts(nano=NANO * 9 // 10), NOW)
    told = identity.stand_in("m", (), governance.book, NOW)
    assert told is not None
    assert told.model == "cheap"
    assert told.reason == f"$0.9 of $1 of the budget of {kind} x is spent or held"


def test_the_gateways_own_terms_hold_for_who_has_none() -> None:
    policy = Policy(thrift=Thrift(models={"m": "cheap"}))
    for own, found in ((None, "cheap"), (Thrift(models={"other": "x"}), None)):
        governance, identity = run(governed(Scope(kind="key", id="k", budgets=(Budget(nano=100),), thrift=own), policy=policy))
        governance.admit(identity, facts(nano=90), NOW)
        told = identity.stand_in("m", (), governance.book, NOW)
        assert (told and told.model) == found


def test_a_configuration_names_models_that_are_there() -> None:
    text = """
models: [{name: dear, model: openai/gpt-4o, api_key: k}]
server: {api_key: sk-master-of-this-test}
governance: {cheaper_models: {models: {dear: cheap}}}
"""
    with pytest.raises(ConfigurationError, match=r"x\.yaml:4: governance\.cheaper_models\.models\.dear: .*'cheap'"):
        read(text, file="x.yaml", env={})


# ------------------------------------------------------------------------------------------------------- served for real
MASTER = "sk-master-of-this-test"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
CHEAPER = {"models": {"dear": "cheap"}, "at": 0.01}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("thrifty")
    with demo_server() as demo:
        at = f"api_base: '{demo.url}/v1', api_key: k"
        yaml = f"""
models:
  - {{name: dear, model: openai/echo, {at}, input_price: 10000, output_price: 10000}}
  - {{name: cheap, model: openai/canned, {at}, input_price: 1, output_price: 1}}
guardrails: [{{name: no-cakes, use: regex, patterns: {{cake: cake}}, models: [dear]}}]
server: {{api_key: {MASTER}, drain_seconds: 1}}
governance: {{database: 'sqlite:///{folder}/ledger.db', journal: '{folder}/journal'}}
"""
        with gateway(yaml) as running:
            yield running


class Seen(NamedTuple):
    status: int
    head: Any
    text: str

    @property
    def stand_in(self) -> str | None:
        told: str | None = self.head["x-dragoman-stand-in"]
        return told


def ask(served: RunningGateway, path: str, body: Any = None, key: str = MASTER) -> Seen:
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(served.url + path, data=data, headers=headers)
    try:
        with DIRECT.open(request, timeout=20) as answer:
            return Seen(answer.status, answer.headers, answer.read().decode())
    except urllib.error.HTTPError as refused:
        return Seen(refused.code, refused.headers, refused.read().decode())


def chat(served: RunningGateway, key: str, text: str = "hi", path: str = "/v1/chat/completions", **more: Any) -> Seen:
    body = {"model": "dear", "max_tokens": 20, "messages": [{"role": "user", "content": text}], **more}
    return ask(served, path, body, key)


def issue(served: RunningGateway, **terms: Any) -> str:
    answer = ask(served, "/key/generate", {"max_budget": 1, "cheaper_models": CHEAPER, **terms})
    assert answer.status == 200, answer.text
    key: str = json.loads(answer.text)["key"]
    return key


def test_the_client_and_the_ledger_are_told(served: RunningGateway) -> None:
    key = issue(served, key_alias="told")
    assert chat(served, key).stand_in is None
    second = chat(served, key)
    assert (second.status, second.stand_in) == (200, "cheap for dear")
    assert second.head["x-dragoman-deployment"].startswith("cheap")
    assert "cheap was asked in place of dear" in second.head["x-dragoman-warnings"]

    metrics = ask(served, "/metrics").text
    assert 'dragoman_stand_ins_total{asked="dear",model="cheap"} 1.0' in metrics

    def logged() -> bool:
        rows = json.loads(ask(served, "/spend/logs", key=key).text)
        return [(row["model_group"], row["asked_model"]) for row in rows] == [("cheap", "dear"), ("dear", "dear")]

    until(logged)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize("stream", [False, True])
def test_every_face_and_streams_too(served: RunningGateway, path: str, stream: bool) -> None:
    key = issue(served)
    found = [chat(served, key, path=path, stream=stream) for _ in range(2)]
    assert [seen.stand_in for seen in found] == [None, "cheap for dear"]
    assert "in place of dear" in found[1].head["x-dragoman-warnings"]


def test_a_budget_of_the_dear_model_alone_leaves_the_cheap_one(served: RunningGateway) -> None:
    dear = {"dear": {"budget_limit": 0.0001, "time_period": "1d"}}
    with_terms = issue(served, model_max_budget=dear)
    without = issue(served, model_max_budget=dear, cheaper_models=None)
    assert [chat(served, with_terms).status for _ in range(3)] == [200, 200, 200]
    assert [chat(served, without).status for _ in range(2)] == [200, 402]


def test_terms_of_a_template_hold_and_can_be_taken_away(served: RunningGateway) -> None:
    made = ask(served, "/budget/new", {"budget_id": "tight", "max_budget": 1, "cheaper_models": CHEAPER})
    assert json.loads(made.text)["cheaper_models"] == CHEAPER
    key = issue(served, budget_id="tight", max_budget=None, cheaper_models=None)
    assert [chat(served, key).stand_in for _ in range(2)] == [None, "cheap for dear"]
    ask(served, "/budget/update", {"budget_id": "tight", "cheaper_models": None})
    assert chat(served, key).stand_in is None


@pytest.mark.parametrize(("models", "statuses"), [(["dear"], [200, 200]), (["cheap"], [403, 403])])
def test_nobody_gets_a_model_it_may_not_ask_for(served: RunningGateway, models: list[str], statuses: list[int]) -> None:
    key = issue(served, models=models)
    found = [chat(served, key) for _ in range(2)]
    assert [seen.status for seen in found] == statuses
    assert {seen.stand_in for seen in found} == {None}


def test_who_may_ask_for_the_cheap_one_alone_is_not_helped_to_the_dear(served: RunningGateway) -> None:
    key = issue(served, models=["cheap"], max_budget=0.00001)
    assert chat(served, key, model="cheap").status == 200
    assert chat(served, key).status == 403


def test_guardrails_of_the_dear_model_hold_for_its_stand_in(served: RunningGateway) -> None:
    key = issue(served)
    chat(served, key)
    assert (chat(served, key).stand_in, chat(served, key, "a cake").status) == ("cheap for dear", 400)


def test_a_stand_in_that_is_not_there_is_told_and_does_no_harm(served: RunningGateway) -> None:
    key = issue(served, cheaper_models={"models": {"dear": "gone"}, "at": 0.01})
    chat(served, key)
    second = chat(served, key)
    assert (second.status, second.stand_in) == (200, None)
    assert "gone was to be asked, which is not served here" in second.head["x-dragoman-warnings"]


@pytest.mark.parametrize(
    "path, fields",
    [
        ("/key/generate", {"cheaper_models": {"models": {}}}),
        ("/key/generate", {"cheaper_models": {"models": {"a": "b"}, "at": 2}}),
        ("/key/generate", {"cheaper_models": {"a": "b"}}),
        ("/customer/new", {"user_id": "u", "cheaper_models": CHEAPER}),
        ("/tag/new", {"name": "t", "cheaper_models": CHEAPER}),
    ],
)
def test_what_cannot_hold_is_refused(served: RunningGateway, path: str, fields: dict[str, Any]) -> None:
    answer = ask(served, path, fields)
    assert answer.status == 400
    assert "cheaper_models" in answer.text
