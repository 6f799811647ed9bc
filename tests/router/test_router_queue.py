"""Calls that wait because everybody is at a limit: in what order they go, how long they wait, and that each leaves once."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st

from dragoman.router.capability import KnownFacts
from dragoman.router.direct import Exhausted, Wait
from dragoman.router.fallback import Fallbacks
from dragoman.router.policy import Policy
from dragoman.router.queue import FairQueue, QueuePolicy, Turn
from dragoman.router.session import NoCapacityError
from support.routing import FAILED, begin, listed, place, play, policy

LONG = QueuePolicy(max_wait=1e6)


# -------------------------------------------------------------------------------------------------------------- virtual time
class World:
    """Calls over a policy in virtual time. `began`: who was let through, in that order; `refused`: name -> the error."""

    def __init__(self, router: Policy) -> None:
        self.router = router
        self.now = 0.0
        self.began: list[str] = []
        self.at: dict[str, float] = {}
        self.refused: dict[str, Any] = {}
        self.left: Counter[str] = Counter()
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._tickets = count()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        heappush(self._events, (self.now + seconds, next(self._tickets), act))

    def run(self, until: float = float("inf")) -> World:
        while self._events and self._events[0][0] <= until:
            self.now, _, act = heappop(self._events)
            act()
        return self

    def arrive(self, at: float, name: str, *, takes: float = 1.0, leaves: float | None = None, **facts: Any) -> None:
        """A call comes at `at`, holds its deployment for `takes` seconds, and leaves after `leaves` seconds in any case."""
        self.later(at - self.now, lambda: Caller(self, name, takes, leaves, facts).look())


class Caller:
    def __init__(self, world: World, name: str, takes: float, leaves: float | None, facts: dict[str, Any]) -> None:
        self.world, self.name, self.takes = world, name, takes
        self.session = begin(world.router, **facts)
        self.over = False
        self.visit = 0
        if leaves is not None:
            world.later(leaves, self.go)

    def look(self, visit: int = 0) -> None:
        if self.over or visit != self.visit:
            return
        self.visit += 1
        world, step, visit = self.world, self.session.next(self.world.now), self.visit
        if isinstance(step, Exhausted):
            self.end()
            world.refused[self.name] = step.error
        elif isinstance(step, Wait):
            world.later(step.seconds, lambda: self.look(visit))
            assert step.turn is not None
            step.turn.wake = lambda: world.later(0.0, lambda: self.look(visit))
            if step.turn.called:
                step.turn.wake()
        else:
            world.began.append(self.name)
            world.at[self.name] = world.now
            world.later(self.takes, self.done)

    def done(self) -> None:
        if not self.over:
            self.end()
            self.session.succeeded(self.world.now)

    def go(self) -> None:
        if not self.over:
            self.end()
            self.session.cancelled(self.world.now)

    def end(self) -> None:
        self.over = True
        self.world.left[self.name] += 1


def one_at_once(**settings: Any) -> Policy:
    return policy(place("a", max_parallel=1), queue=LONG, **settings)


# -------------------------------------------------------------------------------------------------------------------- order
def test_the_lowest_number_goes_first_and_tenants_take_turns() -> None:
    world = World(one_at_once())
    world.arrive(0.0, "running")
    for name, tenant, priority in (
        ("x1", "x", 100),
        ("x2", "x", 100),
        ("x3", "x", 100),
        ("y1", "y", 100),
        ("late", "z", 200),
        ("y2", "y", None),
        ("urgent", "x", 0),
    ):
        world.arrive(0.1, name, tenant=tenant, priority=priority)
    world.run()
    assert world.began == ["running", "urgent", "x1", "y1", "x2", "y2", "x3", "late"]
    assert [world.at[name] for name in world.began] == [float(second) for second in range(8)], "as soon as there is room"


def test_a_tenant_that_comes_with_many_does_not_keep_the_others_waiting() -> None:
    world = World(one_at_once())
    for number in range(100):
        world.arrive(0.0, f"many-{number}", tenant="greedy")
    world.arrive(0.5, "one", tenant="modest")
    world.run()
    assert world.at["one"] <= 2.0


def test_a_newcomer_does_not_pass_who_waits() -> None:
    """Not even in the moment in which there is room, and nobody has taken it yet."""
    router = one_at_once()
    running, waiting, newcomer = (begin(router) for _ in range(3))
    running.next(0.0)
    assert isinstance(waiting.next(0.0), Wait)
    running.succeeded(1.0)
    assert isinstance(newcomer.next(1.0), Wait)
    assert waiting.next(1.0).id == "a"


def test_who_has_no_patience_is_refused_where_others_wait() -> None:
    router = one_at_once()
    running, waiting = begin(router), begin(router)
    running.next(0.0)
    waiting.next(0.0)
    running.succeeded(1.0)
    hasty = begin(router, patience=0.0).next(1.0)
    assert isinstance(hasty, Exhausted)
    assert isinstance(hasty.error, NoCapacityError)


def test_who_waits_for_one_deployment_keeps_nobody_from_another() -> None:
    router = policy(place("a", max_parallel=1), place("b", max_parallel=1), queue=LONG)
    world = World(router)
    world.arrive(0.0, "on a", deployment="a", takes=9.0)
    world.arrive(0.1, "for a", deployment="a")
    world.arrive(0.2, "for any")
    world.run()
    assert (world.at["for any"], world.at["for a"]) == (pytest.approx(0.2), 9.0)


def test_many_small_ones_do_not_starve_a_large_one() -> None:
    """The large one does not fit for a long while; what is left of the limit is not given away to those behind it."""
    router = policy(place("a", tpm=100), queue=LONG)
    world = World(router)
    for number in range(10):
        world.arrive(number * 6.0, f"before-{number}", input_tokens=10)
    world.arrive(55.0, "large", input_tokens=90)
    for number in range(50):
        world.arrive(56.0 + number, f"small-{number}", input_tokens=10)
    world.run()
    assert world.began.index("large") == 10
    assert world.left.total() == 61


def test_a_call_of_another_group_comes_behind_those_of_the_group() -> None:
    lists = Fallbacks(any={"m": ("n",)})
    router = policy(place("a", max_parallel=1), place("b", group="n", max_parallel=1), lists=lists, queue=LONG)
    world = World(router)
    world.arrive(0.0, "on a", takes=100.0)
    world.arrive(0.0, "on b", group="n")
    world.arrive(0.1, "for either")
    world.arrive(0.2, "for b", group="n")
    world.run()
    assert world.began == ["on a", "on b", "for b", "for either"]
    assert world.at["for either"] == 2.0


def test_it_is_the_tenants_turn_once_it_is_served_and_not_when_it_gives_up() -> None:
    world = World(one_at_once())
    world.arrive(0.0, "running", takes=10.0)
    world.arrive(1.0, "x1", tenant="x", leaves=2.0)
    world.arrive(1.1, "x2", tenant="x")
    world.arrive(1.2, "y1", tenant="y")
    world.run()
    assert world.began == ["running", "x2", "y1"]


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("xyz"), st.booleans()), max_size=40), st.data())
def test_the_order_is_that_of_a_plain_model(joins: list[tuple[int, str, bool]], data: st.DataObject) -> None:
    """The model: for each priority a ring of tenants, each with a line."""
    queue, model = FairQueue(), list[Turn]()
    turns = [Turn(tenant=tenant, priority=priority, until=1.0, wants=frozenset()) for priority, tenant, _ in joins]
    rings: dict[int, deque[str]] = {}
    for turn, (priority, tenant, leaves) in zip(turns, joins, strict=True):
        ring = rings.setdefault(priority, deque())
        if tenant not in ring:
            ring.append(tenant)
        queue.join(turn)
        model.append(turn)
        if leaves:
            served = data.draw(st.booleans())
            gone = ordered(model, rings)[0] if served else data.draw(st.sampled_from(model))
            model.remove(gone)
            queue.leave(gone, served=served)
            ring = rings[gone.priority]
            others = any(one.tenant == gone.tenant and one.priority == gone.priority for one in model)
            if served or not others:
                ring.remove(gone.tenant)
            if served and others:
                ring.append(gone.tenant)
    assert list(queue) == ordered(model, rings)
    assert len(queue) == len(model)


def ordered(model: list[Turn], rings: dict[int, deque[str]]) -> list[Turn]:
    found = []
    for priority, ring in sorted(rings.items()):
        lines = [[one for one in model if (one.priority, one.tenant) == (priority, tenant)] for tenant in ring]
        found += [line[number] for number in range(len(model)) for line in lines if number < len(line)]
    return found


# --------------------------------------------------------------------------------------------------------------- invariants
class Arrival(NamedTuple):
    at: float
    tenant: str
    priority: int
    takes: float
    leaves: float | None


TIMES = st.integers(0, 40).map(lambda tenths: tenths / 10)
ARRIVALS = st.lists(
    st.builds(
        Arrival,
        at=TIMES,
        tenant=st.sampled_from("xyz"),
        priority=st.sampled_from([1, 1, 2]),
        takes=TIMES.map(lambda seconds: seconds + 0.1),
        leaves=st.none() | TIMES,
    ),
    max_size=30,
)


@given_settings(max_examples=60)
@given(ARRIVALS, st.integers(1, 3), st.sampled_from([LONG, QueuePolicy(max_wait=3.0, max_length=4)]))
def test_every_call_leaves_exactly_once_and_no_room_is_left_empty(
    arrivals: list[Arrival], places: int, queue: QueuePolicy
) -> None:
    router = policy(*(place(f"p{number}", max_parallel=1) for number in range(places)), queue=queue)
    world = World(router)
    for number, (at, tenant, priority, takes, leaves) in enumerate(arrivals):
        world.arrive(at, str(number), takes=takes, leaves=leaves, tenant=tenant, priority=priority)
    for tenths in range(1, 100):
        world.run(until=tenths / 10 + 0.05)
        busy = [node.in_flight for node in router.group("m").nodes]
        assert max(busy) <= 1
        assert router.queues.length("m") <= queue.max_length
        assert all(busy) or not router.queues.length("m"), "somebody waits, and there is room"
    world.run()
    assert world.left == {str(number): 1 for number in range(len(arrivals))}
    assert not router.queues
    waited = [world.at[name] - arrivals[int(name)].at for name in world.began]
    assert all(seconds <= queue.max_wait + 1e-6 for seconds in waited)
    assert all(isinstance(error, NoCapacityError) for error in world.refused.values())


@given_settings(max_examples=60)
@given(ARRIVALS)
def test_nobody_starves_and_a_tenants_calls_keep_their_order(arrivals: list[Arrival]) -> None:
    """Of one priority, whoever waits sees each other tenant served at most once for each of its own that goes before it."""
    world = World(one_at_once())
    calls = {str(number): one for number, one in enumerate(sorted(arrivals, key=lambda arrival: arrival.at))}
    for name, one in calls.items():
        world.arrive(one.at, name, takes=one.takes, tenant=one.tenant, priority=one.priority)
    world.run()
    assert sorted(world.began) == sorted(calls)
    for place_, name in enumerate(world.began):
        one = calls[name]
        between = [calls[other] for other in world.began[:place_] if world.at[other] > one.at]
        assert all(other.priority <= one.priority for other in between), "a larger number went first"
        same = [other for other in between if other.priority == one.priority]
        own = sum(other.tenant == one.tenant for other in same)
        for tenant in {"x", "y", "z"} - {one.tenant}:
            assert sum(other.tenant == tenant for other in same) <= own + 1
    for tenant in "xyz":
        for priority in (1, 2):
            line = [int(name) for name in world.began if calls[name][1:3] == (tenant, priority)]
            assert line == sorted(line)


def test_a_limit_by_the_minute_serves_exactly_so_many() -> None:
    world = World(policy(place("a", rpm=6), place("b", rpm=4), queue=LONG))
    for number in range(30):
        world.arrive(number / 100, str(number), tenant=str(number % 3))
    world.run(until=59.9)
    assert len(world.began) == 10
    world.run(until=119.0)
    assert len(world.began) == 20
    world.run()
    assert len(world.began) == 30


def test_only_the_first_in_line_has_anything_to_do() -> None:
    """A thousand that wait cost no more than one: nobody but the first looks before its time is over."""
    router = one_at_once()
    begin(router).next(0.0)
    steps = [begin(router).next(0.0) for _ in range(1000)]
    assert steps[0].seconds < 1.0
    assert {step.seconds for step in steps[1:]} == {1e6}


# ------------------------------------------------------------------------------------------------------------------- bounds
def test_off_unless_it_is_asked_for() -> None:
    router = policy(place("a", max_parallel=1))
    begin(router).next(0.0)
    assert isinstance(begin(router).next(0.0), Exhausted)
    assert isinstance(begin(router, patience=1.0).next(0.0), Wait)


def test_it_is_bounded_in_length_and_says_so() -> None:
    router = policy(place("a", max_parallel=1), queue=QueuePolicy(max_length=2))
    sessions = [begin(router) for _ in range(4)]
    *_, last = [session.next(0.0) for session in sessions]
    assert isinstance(last, Exhausted)
    assert isinstance(last.error, NoCapacityError)
    assert "2 calls wait for it already" in str(last.error)
    assert last.error.retry_after == 1.0, "nobody can date it, so in a while"
    sessions[1].cancelled(0.1)
    assert isinstance(begin(router).next(0.2), Wait)


@pytest.mark.parametrize(
    ("facts", "given_up_at"),
    [({}, 10.0), ({"patience": 3.0}, 3.0), ({"deadline": 2.0}, 2.0), ({"patience": 50.0, "deadline": 20.0}, 20.0)],
    ids=["configured", "its own", "its deadline", "whichever is sooner"],
)
def test_it_is_bounded_in_time(facts: dict[str, float], given_up_at: float) -> None:
    world = World(policy(place("a", max_parallel=1), queue=QueuePolicy(max_wait=10.0)))
    world.arrive(0.0, "running", takes=100.0)
    world.arrive(0.0, "waiting", **facts)
    world.run(until=given_up_at - 0.01)
    assert not world.refused
    world.run(until=given_up_at + 0.01)
    assert "waited for its turn for as long as it may" in str(world.refused["waiting"])


def test_who_could_not_be_served_in_time_is_told_at_once() -> None:
    world = World(policy(place("a", rpm=1), queue=QueuePolicy(max_wait=10.0)))
    world.arrive(0.0, "served")
    world.arrive(1.0, "not now")
    world.run()
    assert world.refused["not now"].retry_after == pytest.approx(59.0)
    assert world.now < 10.0


def test_who_can_never_be_served_does_not_wait() -> None:
    router = policy(place("a", max_parallel=1), queue=LONG, facts_of=lambda _: KnownFacts(context_window=10))
    assert isinstance(begin(router, input_tokens=100).next(0.0), Exhausted)
    assert not router.queues


def test_a_call_that_fails_is_not_sent_back_to_the_end() -> None:
    router = policy(place("a", max_parallel=1), place("b", max_parallel=1), queue=LONG)
    unlucky, long, waiting = begin(router), begin(router), begin(router)
    first, second = unlucky.next(0.0), long.next(0.0)
    assert isinstance(waiting.next(0.0), Wait)
    long.succeeded(1.0)
    unlucky.failed(FAILED, 1.0)
    assert unlucky.next(1.0).id == second.id
    assert waiting.next(1.0).id == first.id


# ------------------------------------------------------------------------------------------------------------------ changes
def test_more_room_is_used_at_once() -> None:
    router = one_at_once()
    world = World(router)
    world.arrive(0.0, "running", takes=100.0)
    for number in range(3):
        world.arrive(0.0, str(number), takes=100.0)
    world.run(until=1.0)
    router.use(listed(place("a", max_parallel=1), place("b", max_parallel=2)))
    world.run(until=1.1)
    assert world.began == ["running", "0", "1"]


def test_a_cooldown_that_ends_is_waited_for() -> None:
    router = policy("a", "b", queue=QueuePolicy(max_wait=10.0))
    for node in router.group("m").nodes:
        node.health.out, node.health.told, node.health.until = "rate_limit", True, 7.0
    world = World(router)
    world.arrive(0.0, "waiting")
    world.run()
    assert world.at["waiting"] == pytest.approx(7.0)


def test_what_it_costs_nobody_who_does_not_wait() -> None:
    router = policy(place("a", rpm=100), queue=LONG)
    assert play(begin(router), None) == ["a"]
    assert not router.queues
