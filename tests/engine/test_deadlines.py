"""One total for a call: what is left of it is what the next attempt has, and no wait goes beyond it."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from dragoman.core import errors as e
from dragoman.core.http import Timeouts, TransportFailure
from dragoman.engine.flow import answer, open_stream
from dragoman.engine.steps import Open, Send
from dragoman.router.deployment import Deployment, Terms
from dragoman.router.policy import Policy
from dragoman.router.queue import QueuePolicy
from dragoman.router.retry import RetryPolicy
from dragoman.router.state import RequestFacts, Settings
from support.calls import STREAM, FakeStream, deployment, fail, make_call, play, respond
from support.routing import FAILED, begin, listed, policy

LATE = TransportFailure("total", "late")


class Clock:
    """Goes on by so many seconds each time it is looked at."""

    def __init__(self, *, by: float) -> None:
        self.now, self.by = 0.0, by

    def __call__(self) -> float:
        self.now += self.by
        return self.now


def totals(played: Any) -> list[float | None]:
    return [step.timeouts.total for step in played.steps if isinstance(step, Send | Open)]


def ask(*outcomes: Any, by: float, total: float | None, stream: bool = False, places: int = 3, **timeouts: Any) -> Any:
    call = make_call(
        *(deployment(f"p{number}") for number in range(places)),
        stream=stream,
        retries=5,
        timeouts=Timeouts(total=total, **timeouts),
    )
    flow = open_stream if stream else answer
    return play(flow(call, Clock(by=by), float), *outcomes)


def test_the_first_attempt_has_it_all_and_the_others_what_is_left() -> None:
    played = ask(fail(500), fail(500), respond(), by=1.0, total=100.0)
    first, second, third = totals(played)
    assert first == 100.0
    assert second is not None
    assert third is not None
    assert 100.0 > second > third > 80.0


def test_of_a_stream_too() -> None:
    first, second = totals(ask(fail_stream(), FakeStream(*STREAM), by=1.0, total=100.0, stream=True))
    assert second is not None
    assert first == 100.0 > second


def fail_stream() -> TransportFailure:
    return TransportFailure("closed", "reset by peer")


def test_without_a_total_nothing_is_shortened() -> None:
    assert totals(ask(fail(500), respond(), by=1.0, total=None)) == [None, None]


def test_when_it_is_over_nobody_else_is_asked() -> None:
    played = ask(LATE, by=60.0, total=100.0)
    assert played.names == "Send"
    assert isinstance(played.error, e.Timeout)
    assert (played.error.phase, played.error.attempts) == ("total", 1)


def test_a_wait_that_would_end_behind_it_is_not_begun() -> None:
    played = ask(fail(429, retry_after="30"), by=0.0, total=20.0, places=1)
    assert played.names == "Send"
    assert isinstance(played.error, e.RateLimitError)
    assert played.error.retry_after == 30


def test_a_deployments_own_limit_stays_where_it_is_the_shorter_one() -> None:
    place = deployment("acme")
    limited = Deployment(place.target, id="acme", terms=Terms(timeout=5.0))
    call = make_call(limited, limited, timeouts=Timeouts(total=100.0))
    assert totals(play(answer(call, Clock(by=1.0), float), fail(500), respond())) == [5.0, 5.0]


@pytest.mark.parametrize(("terms", "quiet"), [({"timeout": 5.0}, 5.0), ({"timeout": 5.0, "stream_timeout": 2.0}, 2.0)])
def test_of_a_stream_a_deployments_own_limit_is_for_its_silences(terms: dict[str, float], quiet: float) -> None:
    limited = Deployment(deployment("acme").target, id="acme", terms=Terms(**terms))
    played = play(open_stream(make_call(limited, stream=True), float, float), FakeStream(*STREAM))
    limits = next(step.timeouts for step in played.steps if isinstance(step, Open))
    assert (limits.first_token, limits.idle, limits.total) == (quiet, quiet, None)


def test_patience_ends_with_it() -> None:
    """Nobody can be asked yet, and the caller cannot wait for that long."""
    router = Policy(
        listed(deployment("acme"), deployment("bond")), Settings(queue=QueuePolicy(max_wait=60.0), retry=RetryPolicy())
    )
    for node in router.group("m-1").nodes:
        node.health.out, node.health.told, node.health.until = "rate_limit", True, 30.0
    call = make_call(timeouts=Timeouts(total=10.0))
    call.session = router.begin(RequestFacts(group="m-1", deadline=10.0, retries=2), Random(1))
    played = play(answer(call, Clock(by=0.001), float))
    assert played.names == ""
    assert isinstance(played.error, e.RateLimitError)


# ------------------------------------------------------------------------------------------------------- whose fault it is
def states(router: Policy) -> Iterator[float]:
    return (state["success_rate"] for state in router.explain(0.0))


@pytest.mark.parametrize(
    ("took", "counts"),
    [(0.1, False), (5.0, True)],
    ids=["in less time than it usually takes", "in more"],
)
def test_a_hurried_caller_takes_no_deployment_out(took: float, counts: bool) -> None:
    router = policy("a", "b")
    node = router.group("m").nodes[0]
    node.speed.learn(input_tokens=1, output_tokens=1, first_token=None, seconds=1.0, now=0.0)
    session = begin(router, deployment="a", deadline=took, retries=0)
    session.next(0.0)
    session.failed(e.Timeout("late", phase="total"), took)
    assert (next(states(router)) < 1.0) is counts


def test_other_failures_count_however_soon_they_come() -> None:
    router = policy("a", "b")
    session = begin(router, deployment="a", deadline=0.0, retries=0)
    session.next(0.0)
    session.failed(FAILED, 1.0)
    assert next(states(router)) < 1.0
