"""The same policies in virtual time: a made-up scenario or a recorded log in, counts out. Deterministic by seed.

Each request is a generator that yields the wait until it goes on; a heap of them is the clock. Providers are behaviours:
latency distributions, outages, slow times, rate limits. It judges nothing: tests and `dragoman simulate` do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable
from heapq import heappop, heappush
from itertools import count
from math import exp, log
from random import Random

from msgspec import Struct, field

from dragoman.core import errors as e
from dragoman.providers.base import Provider, Target
from dragoman.router.balance import Strategy
from dragoman.router.deployment import NO_TERMS, Deployment, Terms
from dragoman.router.direct import Exhausted, Wait
from dragoman.router.limits import FixedRequests
from dragoman.router.model_list import ModelList
from dragoman.router.outcome import SUCCESS
from dragoman.router.policy import Policy
from dragoman.router.queue import Turn
from dragoman.router.state import RequestFacts, Settings


class Phase(Struct, frozen=True, kw_only=True):
    """From `start` to `end` seconds, a `share` of requests fails with `kind` after `after` seconds, and the others take
    `slower` times as long. `kind` None: nothing fails.
    """

    start: float = 0.0
    end: float = float("inf")
    kind: str | None = "server"
    share: float = 1.0
    after: float = 0.05
    retry_after: float | None = None
    slower: float = 1.0


class Behaviour(Struct, frozen=True, kw_only=True):
    """How a provider answers: median seconds to the first token with a lognormal `spread` (or by chance one of `samples`),
    then `rate` tokens a second. `rpm`: over so many in a minute it answers 429 with the seconds left of the minute.
    """

    first_token: float = 0.5
    spread: float = 0.3
    samples: tuple[float, ...] = ()
    rate: float = 50.0
    rpm: int | None = None
    phases: tuple[Phase, ...] = ()


class Place(Struct, frozen=True, kw_only=True):
    """A simulated deployment. Those with the same `credential` have one key."""

    id: str
    behaviour: Behaviour = Behaviour()
    terms: Terms = NO_TERMS
    group: str = "m"
    credential: str | None = None


class Request(Struct, frozen=True):
    """One arrival: at which second, for which group, with how many tokens in and out."""

    at: float
    group: str = "m"
    input_tokens: int = 500
    output_tokens: int = 100
    session: str | None = None


class Upstream(Struct, frozen=True):
    """One call to a provider, as a log would have it. `kind` is an outcome's."""

    at: float
    deployment: str
    kind: str
    seconds: float
    first_token: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0


class Report(Struct, kw_only=True):
    """What came of it. `first_tokens` are the seconds each served request waited for its first token, retries included;
    `errors` counts what clients saw, by class; `cost` is in nano-dollars, of the deployments whose rates are known.
    """

    requests: int = 0
    served: int = 0
    calls: list[Upstream] = []
    errors: Counter[str] = field(default_factory=Counter)
    first_tokens: list[float] = []
    cost: int = 0

    @property
    def amplification(self) -> float:
        """Calls to providers for each request."""
        return len(self.calls) / max(1, self.requests)

    @property
    def success_rate(self) -> float:
        return self.served / max(1, self.requests)

    def quantile(self, share: float) -> float:
        """Of the times to first token, in seconds; 0 when nobody was served."""
        ordered = sorted(self.first_tokens)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def calls_to(self, deployment: str, start: float = 0.0, end: float = float("inf")) -> int:
        return sum(1 for call in self.calls if call.deployment == deployment and start <= call.at < end)

    def summary(self) -> dict[str, float]:
        """The figures by which policies are compared."""
        return {
            "requests": self.requests,
            "success_rate": self.success_rate,
            "amplification": self.amplification,
            "p50": self.quantile(0.50),
            "p95": self.quantile(0.95),
            "p99": self.quantile(0.99),
            "cost": self.cost,
        }


def steady(rate: float, seconds: float, seed: int, **request: object) -> list[Request]:
    """Arrivals by chance, `rate` a second on average, for so many seconds."""
    rng, at, found = Random(seed), 0.0, []  # noqa: S311 - arrivals, not a secret
    while (at := at + rng.expovariate(rate)) < seconds:
        found.append(Request(at, **request))  # type: ignore[arg-type]  # the fields of Request
    return found


def run(
    places: Iterable[Place],
    requests: Iterable[Request],
    settings: Settings | None = None,
    *,
    seed: int,
    strategy: Strategy | None = None,
    patience: float | None = None,
    stream: bool = True,
) -> Report:
    """Play the requests against the places. `strategy` replaces that of the settings."""
    listed = tuple(places)
    policy = Policy(_models(listed), settings, strategy=strategy)
    world = _World({place.id: place for place in listed}, Random(seed))  # noqa: S311 - chance of a simulation
    choices = Random(seed + 1)  # noqa: S311 - the same choices whatever the providers draw
    for request in sorted(requests, key=lambda request: request.at):
        world.later(request.at, _call(world, policy, request, choices, patience=patience, stream=stream))
    while (call := world.next()) is not None:
        step = next(call, None)
        if step is not None:
            world.later(world.now + step.seconds, call, step.turn)
    return world.report


def fitted(calls: Iterable[Upstream], *, slice_seconds: float = 60.0) -> tuple[list[Place], list[Request]]:
    """Places that behave as a log says (their latencies, and their share of failures in each slice of time), and its load.

    One request for each success, since the log's retries are its own policy's.
    """
    by_place: dict[str, list[Upstream]] = {}
    for call in calls:
        by_place.setdefault(call.deployment, []).append(call)
    places = [Place(id=name, behaviour=_fitted_behaviour(own, slice_seconds)) for name, own in by_place.items()]
    served = [call for own in by_place.values() for call in own if call.kind == SUCCESS]
    return places, [Request(call.at, "m", call.input_tokens, call.output_tokens) for call in served]


def _fitted_behaviour(calls: list[Upstream], slice_seconds: float) -> Behaviour:
    good = [call for call in calls if call.kind == SUCCESS]
    samples = tuple(call.seconds if call.first_token is None else call.first_token for call in good)
    rates = [
        call.output_tokens / (call.seconds - call.first_token)
        for call in good
        if call.first_token is not None and call.seconds > call.first_token and call.output_tokens
    ]
    slices: dict[int, list[Upstream]] = {}
    for call in calls:
        slices.setdefault(int(call.at // slice_seconds), []).append(call)
    phases = tuple(
        phase for number, own in sorted(slices.items()) if (phase := _fitted_phase(number, own, slice_seconds)) is not None
    )
    rate = sum(rates) / len(rates) if rates else Behaviour().rate
    return Behaviour(samples=samples, rate=rate, phases=phases)


def _fitted_phase(number: int, calls: list[Upstream], slice_seconds: float) -> Phase | None:
    bad = [call for call in calls if call.kind != SUCCESS]
    if not bad:
        return None
    kind, _ = Counter(call.kind for call in bad).most_common(1)[0]
    after = sum(call.seconds for call in bad) / len(bad)
    start = number * slice_seconds
    return Phase(start=start, end=start + slice_seconds, kind=kind, share=len(bad) / len(calls), after=after)


_Running = Generator[Wait, None, None]


class _World:
    """Virtual time, the providers and the report."""

    def __init__(self, places: dict[str, Place], rng: Random) -> None:
        self.now = 0.0
        self.places = places
        self.rng = rng
        self.report = Report()
        self._windows = {name: FixedRequests(place.behaviour.rpm or 0) for name, place in places.items()}
        self._events: list[tuple[float, int, _Running]] = []
        self._latest: dict[_Running, int] = {}
        self._tickets = count()

    def later(self, at: float, call: _Running, turn: Turn | None = None) -> None:
        """The call goes on at `at`, or when its turn is called."""
        ticket = self._latest[call] = next(self._tickets)
        heappush(self._events, (at, ticket, call))
        if turn is not None:
            turn.wake = lambda: self.later(self.now, call)

    def next(self) -> _Running | None:
        """Whose time has come; None at the end of all."""
        while self._events:
            at, ticket, call = heappop(self._events)
            if self._latest[call] == ticket:
                self.now = at
                return call
        return None

    def ask(self, deployment: str, request: Request) -> Upstream:
        """How this provider answers a request now: the whole fate of it is drawn at once."""
        behaviour = self.places[deployment].behaviour
        window = self._windows[deployment]
        if behaviour.rpm is not None:
            if window.wait(self.now):
                return Upstream(self.now, deployment, "rate_limit", 0.02)
            window.take(self.now)
        slower = 1.0
        for phase in behaviour.phases:
            if phase.start <= self.now < phase.end:
                if phase.kind is not None and self.rng.random() < phase.share:
                    return Upstream(self.now, deployment, phase.kind, phase.after)
                slower *= phase.slower
        first = slower * self._first_token(behaviour)
        seconds = first + slower * request.output_tokens / behaviour.rate
        return Upstream(self.now, deployment, SUCCESS, seconds, first, request.input_tokens, request.output_tokens)

    def retry_after(self, call: Upstream) -> float | None:
        """What the provider says with its 429."""
        behaviour = self.places[call.deployment].behaviour
        if behaviour.rpm is not None:
            return self._windows[call.deployment].wait(call.at) or None
        named = (phase.retry_after for phase in behaviour.phases if phase.start <= call.at < phase.end)
        return next(named, None)

    def _first_token(self, behaviour: Behaviour) -> float:
        if behaviour.samples:
            return self.rng.choice(behaviour.samples)
        return exp(log(behaviour.first_token) + behaviour.spread * self.rng.gauss(0.0, 1.0))


def _call(
    world: _World, policy: Policy, request: Request, choices: Random, *, patience: float | None, stream: bool
) -> _Running:
    """One client request, as the engine would run it."""
    report = world.report
    report.requests += 1
    facts = RequestFacts(
        group=request.group,
        stream=stream,
        input_tokens=request.input_tokens,
        output_tokens=request.output_tokens,
        session=request.session,
        patience=patience,
    )
    session = policy.begin(facts, choices)
    while True:
        step = session.next(world.now)
        if isinstance(step, Exhausted):
            report.errors[type(step.error).__name__] += 1
            return
        if isinstance(step, Wait):
            yield step
            continue
        seen = world.ask(step.id, request)
        report.calls.append(seen)
        if seen.kind == SUCCESS and seen.first_token is not None:
            yield Wait(seen.first_token)
            session.started(world.now)
            report.first_tokens.append(world.now - request.at)
            yield Wait(seen.seconds - seen.first_token)
            session.succeeded(world.now, input_tokens=seen.input_tokens, output_tokens=seen.output_tokens)
            report.served += 1
            report.cost += _cost(step.terms, request)
            return
        yield Wait(seen.seconds)
        session.failed(_ERRORS[seen.kind](world.retry_after(seen)), world.now)


def _cost(terms: Terms, request: Request) -> int:
    return (request.input_tokens * (terms.input_rate or 0) + request.output_tokens * (terms.output_rate or 0)) // 1_000_000


def _models(places: tuple[Place, ...]) -> ModelList:
    groups: dict[str, tuple[Deployment, ...]] = {}
    for place in places:
        row = Provider(name="simulated", base_url="https://simulated.invalid/v1")
        target = Target(
            provider=row, model=place.id, base_url="https://simulated.invalid/v1", api_key=place.credential or place.id
        )
        deployment = Deployment(target, group=place.group, id=place.id, terms=place.terms)
        groups[place.group] = (*groups.get(place.group, ()), deployment)
    return ModelList(groups=groups)


_ERRORS: dict[str, Callable[[float | None], e.CallError]] = {
    "server": lambda _: e.InternalServerError("simulated"),
    "unavailable": lambda named: e.ServiceUnavailableError("simulated", retry_after=named),
    "connection": lambda _: e.APIConnectionError("simulated"),
    "timeout": lambda _: e.Timeout("simulated", phase="first_token"),
    "decode": lambda _: e.ResponseDecodeError("simulated"),
    "rate_limit": lambda named: e.RateLimitError("simulated", retry_after=named),
    "credential": lambda _: e.AuthenticationError("simulated"),
    "refused": lambda _: e.NotFoundError("simulated"),
    "conflict": lambda _: e.ConflictError("simulated"),
    "unsupported": lambda _: e.UnsupportedParamsError("simulated"),
    "context_window": lambda _: e.ContextWindowExceededError("simulated"),
    "content_policy": lambda _: e.ContentPolicyViolationError("simulated"),
    "request": lambda _: e.BadRequestError("simulated"),
}
