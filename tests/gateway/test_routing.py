"""Routing through a real gateway over demo deployments: who is asked, what the client sees, and what stands in the headers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from dragoman.core.errors import ConfigurationError
from dragoman.gateway.config import read
from dragoman.router.state import RequestFacts
from support.demo_server import RunningDemo, demo_server
from support.gateway import RunningGateway, gateway

CONFIG = """
models:
  - {{name: thrice, id: down, model: 'openai/echo?fail=500', order: 0, api_base: '{base}', api_key: sk-upstream}}
  - {{name: thrice, id: b, model: openai/echo, order: 1, api_base: '{base}', api_key: sk-upstream}}
  - {{name: thrice, id: c, model: openai/echo, order: 1, api_base: '{base}', api_key: sk-upstream}}
  - {{name: limited, id: limited-1, model: 'openai/echo?fail=429&retry_after=600', api_base: '{base}', api_key: sk-upstream}}
  - {{name: limited, id: limited-2, model: 'openai/echo?fail=429&retry_after=600', api_base: '{base}', api_key: sk-upstream}}
  - {{name: broken, id: broken, model: 'openai/echo?fail=503', api_base: '{base}', api_key: sk-upstream}}
  - {{name: saved, id: saved, model: openai/echo, api_base: '{base}', api_key: sk-upstream}}
  - {{name: streams, id: cut, model: 'openai/echo?fail=garbage&fail_after=0', order: 0, api_base: '{base}', api_key: sk-x}}
  - {{name: streams, id: whole, model: openai/echo, order: 1, api_base: '{base}', api_key: sk-upstream}}
  - {{name: twice, id: t-1, model: openai/echo, tags: [free], rpm: 2, api_base: '{base}', api_key: sk-upstream}}
  - {{name: twice, id: t-2, model: openai/echo, tags: [paid], api_base: '{base}', api_key: sk-upstream}}
  - {{name: two-makers, id: maker-1, model: 'anthropic/echo?fail=500', order: 0, api_base: '{root}', api_key: sk-upstream}}
  - {{name: two-makers, id: maker-2, model: openai/echo, order: 1, api_base: '{base}', api_key: sk-upstream}}
  - {{name: windowed, id: small-1, model: openai/echo, base_model: gpt-4, api_base: '{base}', api_key: sk-upstream}}
  - {{name: windowed, id: small-2, model: openai/echo, base_model: gpt-4, api_base: '{base}', api_key: sk-upstream}}
  - {{name: alike, id: alike-1, model: 'openai/echo?latency=50', api_base: '{base}', api_key: sk-upstream}}
  - {{name: alike, id: alike-2, model: 'openai/echo?latency=50', api_base: '{base}', api_key: sk-upstream}}
  - {{name: "any/*", model: "openai/*", id: any, api_base: '{base}', api_key: sk-upstream}}
router:
  aliases: {{another: saved}}
  fallbacks: {{broken: [saved]}}
  context_window_fallbacks: {{windowed: [saved]}}
  retries: {{unavailable: 0}}
  tag_filtering: true
retries: 1
timeouts: {{first_token: 5}}
"""


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with demo_server() as running:
        yield running


@pytest.fixture(scope="module")
def served(demo: RunningDemo) -> Iterator[RunningGateway]:
    with gateway(CONFIG.format(base=demo.openai_url, root=demo.url)) as running:
        yield running


class Seen(NamedTuple):
    status: int
    headers: Any
    body: Any

    @property
    def trail(self) -> list[str]:
        """Deployments and errors, without the times."""
        steps = (step.split(";") for step in self.headers["x-dragoman-trail"].split(", "))
        return [";".join([step[0], *step[2:]]) for step in steps]


def ask(served: RunningGateway, model: str, content: str = "hello", path: str = "/v1/chat/completions", **more: Any) -> Seen:
    headers = {"content-type": "application/json", **more.pop("headers", {})}
    body = {"model": model, "messages": [{"role": "user", "content": content}], "max_tokens": 50, **more}
    request = urllib.request.Request(served.url + path, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            raw = answer.read()
            return Seen(answer.status, answer.headers, raw.decode() if more.get("stream") else json.loads(raw))
    except urllib.error.HTTPError as refused:
        with refused:
            return Seen(refused.code, refused.headers, json.loads(refused.read()))


def test_one_of_three_down_is_in_the_trail_and_nowhere_else(served: RunningGateway) -> None:
    first = ask(served, "thrice")
    assert first.status == 200
    assert first.trail[0] == "down;error=InternalServerError"
    assert first.trail[1] in {"b", "c"}
    assert first.headers["x-dragoman-attempts"] == "2"
    assert first.headers["x-dragoman-deployment"] in {"b", "c"}
    answers = Counter(ask(served, "thrice").status for _ in range(20))
    assert answers == {200: 20}


def test_an_answer_of_the_first_attempt_has_no_trail(served: RunningGateway) -> None:
    seen = ask(served, "saved")
    assert (seen.status, seen.headers["x-dragoman-attempts"], seen.headers["x-dragoman-trail"]) == (200, "1", None)
    assert ask(served, "another").headers["x-dragoman-deployment"] == "saved"


def test_all_limited_is_429_with_the_time_the_reasons_and_the_trail(served: RunningGateway) -> None:
    first = ask(served, "limited")
    assert first.status == 429
    assert [step.partition(";")[2] for step in first.trail] == ["error=RateLimitError"] * 2
    second = ask(served, "limited")
    assert second.status == 429
    assert 500 < int(second.headers["retry-after"]) <= 600
    assert second.headers["x-dragoman-attempts"] == "0"
    assert "limited-1: out for" in second.headers["x-dragoman-drops"]
    assert "limited-2: out for" in second.body["error"]["message"]


def test_a_fallback_answers_for_a_group_that_is_down(served: RunningGateway) -> None:
    seen = ask(served, "broken")
    assert seen.status == 200
    assert seen.trail == ["broken;error=ServiceUnavailableError", "saved"]


def test_a_stream_that_fails_before_its_first_token_comes_from_elsewhere(served: RunningGateway) -> None:
    seen = ask(served, "streams", stream=True)
    assert seen.trail[0].startswith("cut;error=")
    assert seen.headers["x-dragoman-deployment"] == "whole"
    assert '"content":"' in seen.body
    assert seen.body.rstrip().endswith("data: [DONE]")
    assert "error" not in seen.body


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_group_may_span_makers_of_different_dialects(served: RunningGateway, path: str) -> None:
    seen = ask(served, "two-makers", path=path)
    assert seen.status == 200
    assert seen.headers["x-dragoman-deployment"] == "maker-2"


def test_tags_choose_and_never_reach_the_provider(served: RunningGateway) -> None:
    seen = ask(served, "twice", metadata={"tags": ["paid"], "run": "7"})
    assert (seen.status, seen.headers["x-dragoman-deployment"]) == (200, "t-2")
    assert ask(served, "twice", metadata={"tags": ["gone"]}).status == 503


def test_a_limit_of_n_a_minute_serves_n(served: RunningGateway) -> None:
    answers = [ask(served, "twice", metadata={"tags": ["free"]}).status for _ in range(4)]
    assert answers == [200, 200, 429, 429]


def test_a_prompt_too_long_for_the_group_goes_where_such_prompts_go(served: RunningGateway) -> None:
    assert ask(served, "windowed").headers["x-dragoman-deployment"].startswith("small")
    assert ask(served, "windowed", "word " * 40_000).headers["x-dragoman-deployment"] == "saved"


def test_a_session_stays_at_its_deployment(served: RunningGateway) -> None:
    for header in ("x-dragoman-session", "x-litellm-session-id"):
        seen = {ask(served, "alike", headers={header: "one"}).headers["x-dragoman-deployment"] for _ in range(6)}
        assert len(seen) == 1


def test_a_pattern_is_a_group_too(served: RunningGateway) -> None:
    assert ask(served, "any/echo").headers["x-dragoman-deployment"] == "any/any/echo"


def test_an_unknown_name_comes_with_the_nearest(served: RunningGateway) -> None:
    seen = ask(served, "thirce")
    assert (seen.status, seen.body["error"]["code"]) == (404, "model_not_found")
    assert "did you mean thrice" in seen.body["error"]["message"]


# ------------------------------------------------------------------------------------------------------------ the file's keys
TWO = "models:\n- {name: a, model: demo/echo}\n- {name: b, model: demo/echo}\n"


def settings(text: str) -> Any:
    return read(TWO + text, file="dragoman.yaml", env={})[1].settings


def test_the_router_of_a_file_becomes_its_settings() -> None:
    found = settings("""
retries: 4
router:
  strategy: latency-based-routing
  strategy_arguments: {lowest_latency_buffer: 0.5}
  group_strategy: {b: least-busy}
  retries: {rate_limit: 0}
  max_wait: 5
  retry_share: 0.2
  fallbacks: {a: [b]}
  default_fallbacks: [b]
  content_policy_fallbacks: {a: [b]}
  max_fallbacks: 1
  cooldown: {failures: 3, seconds: 7, allowed: {timeout: 1}}
  queue: {max_wait: 2}
  max_parallel: 9
""")
    assert (found.strategy, found.group_strategy) == ("latency-based-routing", {"b": "least-busy"})
    assert (found.retry.max_retries, found.retry.by_kind, found.retry.max_wait) == (4, {"rate_limit": 0}, 5)
    assert (found.fallbacks.any, found.fallbacks.content_policy, found.fallbacks.most) == (
        {"*": ("b",), "a": ("b",)},
        {"a": ("b",)},
        1,
    )
    assert (found.health.failures, found.health.base, found.health.allowed) == (3, 7, {"timeout": 1})
    assert (found.queue.max_wait, found.max_parallel, found.retry_share) == (2, 9, 0.2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("router: {strategi: x}", "dragoman.yaml:4: router.strategi: unknown key; did you mean strategy?"),
        (
            "router:\n  strategy: best",
            "dragoman.yaml:5: router.strategy: there is no strategy 'best'; there are: simple-shuffle",
        ),
        ("router:\n  group_strategy: {a: best}", "dragoman.yaml:5: router.group_strategy.a: there is no strategy 'best'"),
        ("router:\n  strategy_arguments: {x: 1}", "dragoman.yaml:5: router.strategy_arguments: "),
        ("router:\n  retries: {sever: 1}", "dragoman.yaml:5: router.retries.sever: unknown kind of failure; there are: "),
        (
            "router:\n  cooldown:\n    allowed: {all: 1}",
            "dragoman.yaml:6: router.cooldown.allowed.all: unknown kind of failure",
        ),
        ("router: {cooldown: {seconds: -1}}", "dragoman.yaml:4: router.cooldown.seconds: "),
        ("router: {fallbacks: {a: [c]}}", "dragoman.yaml:4: router: fallbacks: a: no model is called 'c'"),
        ("router: {retry_share: 2}", "dragoman.yaml:4: router.retry_share: "),
    ],
)
def test_a_mistake_in_it_is_named(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        settings(text)
    assert failure.value.message.startswith(message)


def test_ids_are_unique() -> None:
    with pytest.raises(ConfigurationError, match=r"dragoman.yaml:3: models\[1\]: id: 'x' is that of models\[0\] too"):
        read(
            "models:\n- {name: a, id: x, model: demo/echo}\n- {name: b, id: x, model: demo/echo}\n",
            file="dragoman.yaml",
            env={},
        )


def test_the_terms_of_a_model_are_its_deployments() -> None:
    text = """
models:
- name: a
  model: demo/echo
  weight: 2
  order: 1
  rpm: 60
  tpm: 1000
  max_parallel: 4
  tags: [x]
  region: eu
  input_price: 0.15
  output_price: 0.6
  cooldown: 9
  timeout: 30
  stream_timeout: 5
  retries: 0
  defaults: {temperature: 0}
"""
    (deployment,) = read(text, file="dragoman.yaml", env={})[1].deployments
    terms = deployment.terms
    assert (terms.weight, terms.order, terms.rpm, terms.tpm, terms.max_parallel) == (2, 1, 60, 1000, 4)
    assert (terms.tags, terms.region, terms.cooldown, terms.timeout, terms.stream_timeout) == (frozenset("x"), "eu", 9, 30, 5)
    assert (terms.input_rate, terms.output_rate) == (150_000_000, 600_000_000)
    assert (terms.retries, terms.defaults) == (0, {"temperature": 0})


def test_what_has_no_choice_takes_no_session() -> None:
    policy = read(TWO + "router: {fallbacks: {b: [a]}}", file="dragoman.yaml", env={})[1]
    assert policy.alone("a") is not None
    assert policy.alone("b") is None
    assert policy.find("b") is not None
    assert RequestFacts(group="b").group in policy.names
