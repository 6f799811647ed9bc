"""Deployments, policies and sessions without a provider: what routing tests are made of."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from dragoman.core import errors as e
from dragoman.providers.base import Provider, Target
from dragoman.router.balance import Strategy
from dragoman.router.deployment import Deployment, Terms
from dragoman.router.direct import Direct, Exhausted, Wait
from dragoman.router.fallback import Fallbacks
from dragoman.router.model_list import ModelList
from dragoman.router.policy import Policy
from dragoman.router.session import Session
from dragoman.router.state import Ask, Node, RequestFacts, Settings

FAILED = e.InternalServerError("down")
REFUSED = e.AuthenticationError("bad key")
BAD = e.BadRequestError("bad request")
TOO_LONG = e.ContextWindowExceededError("too long")


def limited(seconds: float | None = None) -> e.RateLimitError:
    return e.RateLimitError("slow down", retry_after=seconds)


def place(name: str, *, group: str = "m", key: str | None = None, **terms: Any) -> Deployment:
    """Each has a key of its own unless told."""
    row = Provider(name="acme", base_url="https://acme.test/v1")
    target = Target(provider=row, model=name, base_url="https://acme.test/v1", api_key=key or f"key of {name}")
    return Deployment(target, group=group, id=name, terms=Terms(**terms))


def listed(*places: Deployment) -> ModelList:
    groups: dict[str, tuple[Deployment, ...]] = {}
    for one in places:
        groups[one.group] = (*groups.get(one.group, ()), one)
    return ModelList(groups=groups)


def policy(*places: Deployment | str, facts_of: Any = None, lists: Fallbacks | None = None, **settings: Any) -> Policy:
    """A name stands for a deployment of the group "m"; `settings` are those of `state.Settings`, `lists` its fallbacks."""
    if lists is not None:
        settings["fallbacks"] = lists
    made = tuple(place(one) if isinstance(one, str) else one for one in places)
    return Policy(listed(*made), Settings(**settings), facts_of=facts_of)


class InOrder(Strategy):
    """The first of those that may be asked."""

    def choose(self, nodes: Sequence[Node], ask: Ask) -> Node:
        return nodes[0]


def begin(router: Policy, *, seed: int = 1, group: str = "m", **facts: Any) -> Session:
    session = router.begin(RequestFacts(group=group, **facts), Random(seed))
    assert isinstance(session, Session | Direct)
    return session


def play(session: Session, *outcomes: e.CallError | None, now: float = 0.0) -> list[Any]:
    """Run a session through these outcomes (None: a success). Gives ids that were asked, waits in seconds, the last error."""
    seen: list[Any] = []
    script = iter(outcomes)
    while True:
        step = session.next(now)
        if isinstance(step, Exhausted):
            return [*seen, step.error]
        if isinstance(step, Wait):
            seen.append(step.seconds)
            now += step.seconds
            continue
        seen.append(step.id)
        error = next(script)
        if error is None:
            session.succeeded(now)
            return seen
        session.failed(error, now)


def fail_until_out(router: Policy, name: str, *, now: float = 0.0, group: str = "m") -> float:
    """Failures in a row at one deployment, until it is out. Gives the time at which it is due again."""
    node = next(node for node in router.find(group).nodes if node.deployment.id == name)
    while not node.health.out:
        session = begin(router, group=group, deployment=name, retries=0)
        assert session.next(now).id == name
        session.failed(FAILED, now)
    return node.health.until
