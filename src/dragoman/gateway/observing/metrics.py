"""What a worker counts of its requests, told by `requests`. The hot path is a handful of look-ups; `exposition` reads the rest.

Money is worked out when somebody asks: tokens are summed by deployment, and priced as one sum wherever the price of a model
goes up evenly with them. Where it does not (steps, tiers, peak hours) each call is priced by itself.
"""

from __future__ import annotations

import os
import time
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from dragoman.catalog.bill import bill_found
from dragoman.catalog.cost import NANO, minute_of_day
from dragoman.core.chat import Usage
from dragoman.core.errors import GatewayError
from dragoman.engine.call import Call
from dragoman.engine.pieces import pieces
from dragoman.engine.price import bill, price, record
from dragoman.engine.usage import less
from dragoman.gateway.observing import families
from dragoman.gateway.observing.series import Counter, Histogram, Labels, Tables, Values
from dragoman.telemetry.call_facts import first_chunk

if TYPE_CHECKING:
    from dragoman.gateway.observing.requests import Ended, Requests
    from dragoman.gateway.pipeline import Pipeline
    from dragoman.router.deployment import Deployment

OTHER = "other"
KINDS = tuple(
    """
    input output cache_read cache_write cache_write_1h reasoning input_audio output_audio input_image output_image
    """.split()
)
_FIELDS = (*(f"{kind}_tokens" for kind in KINDS), "web_search_requests")
"""What a price is made of."""
_counts = attrgetter(*_FIELDS)
_CLASSES = {hundred: f"{hundred}xx" for hundred in range(1, 6)}


class Metrics:
    """`by_key`: how many virtual keys are told apart."""

    def __init__(self, pipeline: Pipeline, requests: Requests, *, by_key: int = 0) -> None:
        self._pipeline = pipeline
        self._under_way = requests
        self._by_key = by_key
        self._known: set[str] = set()
        self.relisted()
        self._tokens: dict[str, _Tokens] = {}
        self._requests = Counter(families.REQUESTS)
        self._attempts = Counter(families.ATTEMPTS)
        self._retries = Counter(families.RETRIES)
        self._fallbacks = Counter(families.FALLBACKS)
        self._hedges = Counter(families.HEDGES)
        self._spend = Counter(families.SPEND)
        self._refusals = Counter(families.REFUSALS)
        self._cache = Counter(families.CACHE)
        self._stand_ins = Counter(families.STAND_INS)
        self._key_requests = Counter(families.KEY_REQUESTS)
        self._key_tokens = Counter(families.KEY_TOKENS)
        self._duration = Histogram(families.DURATION)
        self._first = Histogram(families.FIRST_TOKEN)
        self._per_token = Histogram(families.PER_TOKEN)

    def relisted(self) -> None:
        """Tell apart what is served now; the rest is other."""
        policy = self._pipeline.policy
        self._models = frozenset(policy.names)
        self._deployments = frozenset(deployment.id for deployment in policy.deployments)

    def __call__(self, ended: Ended) -> None:
        """A request has ended."""
        call = ended.call
        model = OTHER if call is None else self._model(call)
        self._requests.add((ended.operation, model, ended.dialect, _CLASSES.get(ended.status // 100, OTHER)))
        self._duration.observe((ended.operation, model), ended.seconds)
        if self._by_key and ended.who is not None:
            self._count_key(ended)
        if ended.refused or isinstance(ended.error, GatewayError):
            self._refusals.add((type(ended.error).__name__,))
        if call is None or ended.refused:
            return
        if call.lookup is not None and call.lookup.status:
            self._cache.add((model, call.lookup.status))
        if call.asked:
            self._stand_ins.add((call.asked if call.asked in self._models else OTHER, model))
        attempts = call.attempts
        for attempt in attempts:
            error = attempt.error
            outcome = "cancelled" if attempt.cancelled else "success" if error is None else type(error).__name__
            self._attempts.add((self._deployment(attempt.deployment), outcome))
        if len(attempts) > 1:
            self._count_moves(call, model)
        usage = None if call.settlement is None else call.settlement.usage
        if attempts and pieces(call, usage):
            cost = price(call, usage)
            if cost is not None and cost.dollars is not None:
                self._spend.add((self._deployment(attempts[-1].deployment),), cost.dollars)
        elif usage is not None and attempts:
            self._count_parts(call, usage)
        if call.stream:
            self._time_stream(call, ended, model, usage)

    def settled(self, call: Call) -> None:
        """For the observers of calls: a batch has been settled, for which no request waits."""
        usage = None if call.settlement is None else call.settlement.usage
        if call.operation != "batch" or usage is None:
            return
        tokens, cost = self._tokens_of(call.attempts[-1].deployment), price(call, usage)
        tokens.add(usage, billed=True)
        if cost is not None and cost.dollars is not None:
            self._spend.add((tokens.label,), cost.dollars)

    def tables(self) -> Tables:
        """Everything that is counted, for good."""
        for tokens in self._tokens.values():
            self._spend.add((tokens.label,), tokens.newly_spent())
        found = {series.family.name: series.values for series in vars(self).values() if isinstance(series, Counter | Histogram)}
        counted: Values = {
            (t.label, kind): [float(n)] for t in self._tokens.values() for kind, n in zip(KINDS, t.counts, strict=False) if n
        }
        return {**found, families.TOKENS.name: counted, **self._checks()}

    def _checks(self) -> Tables:
        """Whether the threshold of a semantic cache is right."""
        caching = self._pipeline.caching
        if caching is None or not caching.cache.counts.checked:
            return {}
        counts = caching.cache.counts
        agreed = {"true": counts.agreed, "false": counts.checked - counts.agreed}
        return {families.CACHE_CHECKS.name: {(said,): [float(number)] for said, number in agreed.items()}}

    def current(self) -> Tables:
        """What is so now."""
        calls = list(self._under_way.open)
        out: dict[Labels, list[float]] = {}
        busy: dict[Labels, list[float]] = {}
        for row in self._pipeline.policy.explain(time.perf_counter()):
            label = row["deployment"] if row["deployment"] in self._deployments else OTHER
            busy.setdefault((label,), [0.0])[0] += row["in_flight"]
            if row["out_because"]:
                out.setdefault((label, row["out_because"]), [0.0])[0] += 1.0
        return {
            families.IN_FLIGHT.name: {(): [float(len(calls))]},
            families.STREAMS.name: {(): [float(sum(call.stream for call in calls))]},
            families.WAITING.name: {(): [float(sum(map(_waits, calls)))]},
            families.DEPLOYMENT_OUT.name: out,
            families.DEPLOYMENT_BUSY.name: busy,
            **self._ledger(),
            **_process(),
        }

    def _ledger(self) -> Tables:
        admission = self._pipeline.admission
        if admission is None:
            return {}
        rows = admission.governance.ended
        lag = max(0.0, time.time() - rows[0].ended) if rows else 0.0
        return {families.LEDGER_ROWS.name: {(): [float(len(rows))]}, families.LEDGER_LAG.name: {(): [lag]}}

    def _model(self, call: Call) -> str:
        """The group, which an alias stands for; what a pattern made of a client's words is "other"."""
        name = call.deployments[0].group if call.deployments else call.model
        return name if name in self._models else OTHER

    def _deployment(self, deployment: Deployment) -> str:
        return deployment.id if deployment.id in self._deployments else OTHER

    def _count_key(self, ended: Ended) -> None:
        name = "" if ended.who is None else ended.who.key.id
        if name not in self._known:
            if len(self._known) >= self._by_key:
                name = OTHER
            else:
                self._known.add(name)
        self._key_requests.add((name,))
        usage = ended.call.settlement.usage if ended.call is not None and ended.call.settlement else None
        if usage is not None:
            self._key_tokens.add((name,), usage.total_tokens)

    def _count_moves(self, call: Call, model: str) -> None:
        """From one attempt to the next: again, elsewhere, or side by side."""
        for before, attempt in zip(call.attempts, call.attempts[1:], strict=False):
            if attempt.reason == "hedge":
                self._hedges.add((model,))
                continue
            reason = type(before.error).__name__ if before.error else attempt.reason or OTHER
            group = attempt.deployment.group
            if group == before.deployment.group:
                self._retries.add((model, reason))
            else:
                self._fallbacks.add((model, group if group in self._models else OTHER, reason))

    def _count_parts(self, call: Call, usage: Usage) -> None:
        """Whose part of an answer it is, at whose price."""
        *others, (last, _) = call.shares
        left: Usage | None = usage
        for deployment, used in others:
            left = less(left, used)
            if used is not None:
                self._count_tokens(deployment, used)
        if left is not None:
            self._count_tokens(last, left)

    def _tokens_of(self, deployment: Deployment) -> _Tokens:
        tokens = self._tokens.get(deployment.id)
        if tokens is None:
            label = self._deployment(deployment)
            known = label if label == OTHER else deployment.id
            tokens = self._tokens.setdefault(known, _Tokens(label, None if label == OTHER else deployment))
        return tokens

    def _count_tokens(self, deployment: Deployment, usage: Usage) -> None:
        tokens = self._tokens_of(deployment)
        tokens.add(usage)
        if not tokens.even:
            cost = bill(((deployment, None),), usage, minute=minute_of_day(time.time()))
            if cost.dollars is not None:
                self._spend.add((tokens.label,), cost.dollars)

    def _time_stream(self, call: Call, ended: Ended, model: str, usage: Usage | None) -> None:
        waited = first_chunk(call)
        if waited is None or call.clock is None:
            return
        before = max(0.0, ended.seconds - (call.clock() - call.attempts[0].began))
        first = before + waited
        self._first.observe((model,), first)
        if usage is not None and usage.output_tokens > 1:
            mean = max(0.0, ended.seconds - first) / (usage.output_tokens - 1)
            self._per_token.observe((model,), mean)


class _Tokens:
    """The tokens of one deployment. `even`: their price is that of their sum."""

    def __init__(self, label: str, deployment: Deployment | None) -> None:
        self.label = label
        self.counts = [0] * len(_FIELDS)
        self._priced = list(self.counts)
        self._deployment = deployment
        self.even = deployment is not None and _even(deployment)

    def add(self, usage: Usage, *, billed: bool = False) -> None:
        """`billed`: what it cost is counted already."""
        counts = _counts(usage)
        self.counts = [held + more for held, more in zip(self.counts, counts, strict=True)]
        if billed:
            self._priced = [held + more for held, more in zip(self._priced, counts, strict=True)]

    def newly_spent(self) -> float:
        """US dollars since it was last asked."""
        new = [now - then for now, then in zip(self.counts, self._priced, strict=True)]
        if not self.even or self._deployment is None or not any(new):
            return 0.0
        self._priced = list(self.counts)
        told: dict[str, Any] = dict(zip(_FIELDS, new, strict=True))
        cost = bill_found(record(self._deployment), self.label, Usage(**told))
        return (cost.nano_dollars or 0) / NANO


def _even(deployment: Deployment) -> bool:
    """Whether twice the tokens cost twice as much, whenever and however they come."""
    found = record(deployment)
    if found is None:
        return True  # and nobody knows how much
    model = found.model
    return not (model.price.steps or model.peak_hours or "thinking" in model.modes or "call" in model.price.rates)


def _waits(call: Call) -> bool:
    return not call.attempts or (call.attempts[-1].ended is not None and call.attempts[-1].error is not None)


def _process() -> Tables:
    worker = (str(os.getpid()),)
    found: dict[str, Any] = {
        families.WORKER_CPU.name: {worker: [time.process_time()]},
        families.WORKER_START.name: {worker: [_STARTED]},
    }
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - a pseudo file
            found[families.WORKER_MEMORY.name] = {worker: [int(file.read().split()[1]) * float(os.sysconf("SC_PAGE_SIZE"))]}
        found[families.WORKER_FILES.name] = {worker: [float(len(os.listdir("/proc/self/fd")))]}  # noqa: PTH208 - as above
    except OSError:  # only Linux has these
        pass
    return found


_STARTED = time.time()
