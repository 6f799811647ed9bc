"""A refusal tells the limits of who asked as an answer does: in `x-ratelimit-*`, whatever face said no."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dragoman.core.errors import BudgetExceededError, RateLimitExceededError
from dragoman.gateway.governance.budgets import Budget
from dragoman.gateway.governance.limits import Amounts, Limit, Limiter, take
from dragoman.gateway.governance.scopes import Scope
from support.governing import NOW, facts, governed, run
from support.keyed_gateway import KeyedGateway, keyed_gateway

BEGIN = NOW - NOW % 86_400


def refused(limits: list[tuple[str, int, str]], before: int, asked: int) -> RateLimitExceededError:
    """What is said to who asks for so many tokens after a call of so many."""
    limiter = Limiter()
    meters = tuple(limiter.meter("key", "k", Limit(kind=kind, amount=amount, span=span)) for kind, amount, span in limits)
    take(meters, Amounts(before), BEGIN)
    with pytest.raises(RateLimitExceededError) as found:
        take(meters, Amounts(asked), BEGIN)
    return found.value


@pytest.mark.parametrize(
    "limits, amounts, told",
    [
        ([("requests", 1, "1m")], (1, 1), {"requests": (1, 0, 60)}),
        ([("requests", 2, "1m"), ("tokens", 9, "1h")], (5, 5), {"requests": (2, 1, 60), "tokens": (9, 4, 3600)}),
        # what has refused goes before what has less left of it
        ([("tokens", 10, "1m"), ("tokens", 1000, "1d")], (3, 8), {"tokens": (10, 7, 60)}),
        ([("parallel", 1, ""), ("requests", 5, "1m")], (1, 1), {"requests": (5, 4, 60)}),
        ([("parallel", 1, "")], (1, 1), {}),
    ],
)
def test_a_refusal_tells_the_limit_that_refused(
    limits: list[tuple[str, int, str]], amounts: tuple[int, int], told: dict[str, tuple[int, int, int]]
) -> None:
    found = {}
    for name, (limit, remaining, reset) in told.items():
        for what, value in (("limit", f"{limit}"), ("remaining", f"{remaining}"), ("reset", f"{reset}s")):
            found[f"x-ratelimit-{what}-{name}".encode()] = value.encode()
    assert dict(refused(limits, *amounts).limits) == found


@pytest.mark.parametrize("span, wait", [("1d", 86_400.0), ("", None)])
def test_a_budget_that_is_spent_says_when_it_begins_anew_and_what_is_left_of_the_limits(span: str, wait: float | None) -> None:
    scope = Scope(kind="key", id="k", budgets=(Budget(nano=10, span=span),), limits=(Limit(kind="requests", amount=3),))
    governance, identity = run(governed(scope))
    hold = governance.admit(identity, facts(nano=10), BEGIN)
    with pytest.raises(BudgetExceededError) as held:
        governance.admit(identity, facts(nano=10), BEGIN)
    assert held.value.retry_after is None, "what a call in flight holds comes back when it ends, and nobody knows when"
    hold.charges[-1].counter.unshipped += 10
    with pytest.raises(BudgetExceededError) as spent:
        governance.admit(identity, facts(nano=10), BEGIN)
    assert spent.value.retry_after == wait
    assert dict(spent.value.limits)[b"x-ratelimit-remaining-requests"] == b"2"


# ------------------------------------------------------------------------------------------------------- served for real
MODELS = """
  - {name: echo, model: openai/echo, AT}
  - {name: embed, model: openai/embed, AT}
  - {name: fails, model: openai/echo?fail=500, AT}
"""
MESSAGES = [{"role": "user", "content": "hello"}]
FACES: dict[str, tuple[str, Any]] = {
    "chat": ("/v1/chat/completions", {"model": "echo", "messages": MESSAGES}),
    "chat, streamed": ("/v1/chat/completions", {"model": "echo", "messages": MESSAGES, "stream": True}),
    "completions": ("/v1/completions", {"model": "echo", "prompt": "hello"}),
    "responses": ("/v1/responses", {"model": "echo", "input": "hello"}),
    "messages": ("/v1/messages", {"model": "echo", "messages": MESSAGES, "max_tokens": 9}),
    "gemini": ("/v1beta/models/echo:generateContent", {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}),
    "embeddings": ("/v1/embeddings", {"model": "embed", "input": "hello"}),
    "gptrouter": ("/api/v1/generate/embeddings-v2", {"modelName": "embed", "input": ["hello"]}),
}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedGateway]:
    folder = tmp_path_factory.mktemp("limits-told")
    with keyed_gateway(folder, MODELS, f"gptrouter: {{prompts: '{folder}/prompts.db'}}\n") as served:
        yield served


def limits_of(told: Any) -> dict[str, str]:
    return {name: told.headers[f"x-ratelimit-{name}-requests"] for name in ("limit", "remaining")}


@pytest.mark.parametrize("path, body", FACES.values(), ids=FACES)
def test_every_face_tells_it(keyed: KeyedGateway, path: str, body: Any) -> None:
    key = keyed.issue(rpm_limit=1)
    answers = [keyed.ask("POST", path, body, key) for _ in range(3)]  # two of which are in the same minute
    told = next(answer for answer in answers if answer.status == 429)
    assert (told.status, limits_of(told)) == (429, {"limit": "1", "remaining": "0"})
    assert 0 < int(told.headers["retry-after"]) <= 60
    assert 0 <= int(told.headers["x-ratelimit-reset-requests"].rstrip("s")) <= 60


def test_a_call_that_failed_tells_it_too(keyed: KeyedGateway) -> None:
    told = keyed.chat(keyed.issue(rpm_limit=5), "fails")
    assert (told.status, limits_of(told)) == (500, {"limit": "5", "remaining": "4"})
