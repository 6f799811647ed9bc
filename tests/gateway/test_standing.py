"""Where a request of the gateway stands in the router's queue: who its tenant is, and who may say its priority."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.core.errors import BadRequestError
from dragoman.gateway.governance.identity import Identity
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.standing import standing
from dragoman.router.queue import OFF, QueuePolicy

QUEUE = QueuePolicy(priority=100)


class Asking:
    def __init__(self, **headers: str) -> None:
        self._headers = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}

    def header(self, name: bytes) -> bytes | None:
        return self._headers.get(name)


def identity(*, team: str = "", team_priority: Any = None, priority: Any = None) -> Identity:
    above = [Scope(kind="team", id=team, metadata={"priority": team_priority})] if team else []
    return Identity("digest", (*above, Scope(kind="key", id="k1", team=team, metadata={"priority": priority})))


def stands(who: Identity | None = None, queue: QueuePolicy = QUEUE, **headers: str) -> Any:
    return standing(queue, Asking(**headers), who)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("who", "headers", "expected"),
    [
        (None, {}, {"priority": 100}),
        (None, {"x_dragoman_priority": "200"}, {"priority": 200}),
        (None, {"x_litellm_priority": "200"}, {"priority": 200}),
        (None, {"x_dragoman_priority": "5"}, {"priority": 100}),
        (identity(), {}, {"priority": 100, "tenant": "k1"}),
        (identity(team="t1"), {}, {"priority": 100, "tenant": "t1"}),
        (identity(team="t1", team_priority=50), {}, {"priority": 50, "tenant": "t1"}),
        (identity(team="t1", team_priority=50, priority=10), {}, {"priority": 10, "tenant": "t1"}),
        (identity(priority=10), {"x_dragoman_priority": "20"}, {"priority": 20, "tenant": "k1"}),
        (identity(priority=10), {"x_dragoman_priority": "5"}, {"priority": 10, "tenant": "k1"}),
        (identity(priority="prod"), {}, {"priority": 100, "tenant": "k1"}),
    ],
    ids=[
        "without governance the request's own user",
        "it may step back",
        "LiteLLM's header",
        "and never forward",
        "a key",
        "the keys of a team are one tenant",
        "what a team has been given",
        "what its key has been given",
        "a key may step back",
        "and not forward",
        "words are no numbers",
    ],
)
def test_where_it_stands(who: Identity | None, headers: dict[str, str], expected: dict[str, Any]) -> None:
    assert stands(who, **headers) == expected


def test_where_nobody_waits_nothing_is_looked_at() -> None:
    assert stands(identity(priority=1), OFF, x_dragoman_priority="nonsense") == {}


@pytest.mark.parametrize("value", ["-1", "1.5", "high", "", "9" * 30])
def test_a_priority_that_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(BadRequestError, match="x-dragoman-priority: expected a whole number from 0"):
        stands(x_dragoman_priority=value)
