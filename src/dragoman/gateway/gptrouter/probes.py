"""Probes: a chat model that nobody asked for a while, or that is out, is asked for a word, so that it is known how it fares.

Off unless configured, and never dearer than so much a day: a model whose price nobody knows is not probed. A probe goes through
the router for that one deployment, so an answer brings it back in. Real traffic makes probes needless, and none is sent then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from time import perf_counter

from dragoman.core import json
from dragoman.core.errors import DragomanError, Timeout
from dragoman.engine.call import Call, CallOptions, Settlement
from dragoman.engine.drive import adrive
from dragoman.engine.flow import answer
from dragoman.engine.price import price, record
from dragoman.gateway.governance.facts import Prices
from dragoman.gateway.gptrouter.entry import ProbesEntry
from dragoman.gateway.gptrouter.health import History
from dragoman.gateway.pipeline import Pipeline
from dragoman.router.deployment import Deployment
from dragoman.router.state import RequestFacts

TOKENS = 16
"""Of a question and its answer, each: some models refuse a smaller limit."""
_DAY = 86400
_RNG = Random()  # noqa: S311 - which deployment is asked is no secret


class Probes:
    """`turn` now and then; `seen` is told of every call of the gateway. Money in nano-dollars, by the UTC day."""

    def __init__(
        self,
        entry: ProbesEntry,
        pipeline: Pipeline,
        options: CallOptions,
        history: History,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._every = entry.every_seconds
        self._cap = round(entry.dollars_a_day * 1e9)
        self._pipeline = pipeline
        self._options = options
        self._history = history
        self._clock = clock
        self._asked: dict[str, float] = {}
        self._prices = Prices()
        self._day = 0
        self._spent = 0

    def seen(self, call: Call) -> None:
        for attempt in call.attempts:
            self._asked[attempt.deployment.id] = self._clock()

    async def turn(self) -> int:
        """How many were probed."""
        count = 0
        for deployment in list(self._due()):
            call = self._call(deployment)
            if self._afford(call):
                count += 1
                with suppress(DragomanError):
                    await adrive(answer(call, perf_counter, self._clock), self._pipeline.transport)
                if call.settlement is None:
                    call.settle(Settlement(cancelled=True))
                self._pay(call)
        return count

    def _due(self) -> Iterator[Deployment]:
        """Chat models that are idle, or out; one that was just probed has been asked."""
        policy, now = self._pipeline.policy, self._clock()
        out = {told["deployment"] for told in policy.explain(perf_counter()) if told["state"] != "in"}
        for deployment in policy.deployments:
            since = now - self._asked.get(deployment.id, 0.0)
            found = record(deployment)
            if found is not None and found.model.kind == "chat" and (since >= self._every or deployment.id in out):
                yield deployment

    def _call(self, deployment: Deployment) -> Call:
        facts = RequestFacts(group=deployment.group, deployment=deployment.id, retries=0, fallbacks=())
        body = {"model": deployment.id, "messages": [{"role": "user", "content": "ping"}], "max_tokens": TOKENS}
        return Call(
            operation="chat",
            dialect="openai_chat",
            model=deployment.id,
            body=json.encode(body),
            deployments=(deployment,),
            options=self._options,
            observers=(self._history.note, self.seen),
            session=self._pipeline.policy.begin(facts, _RNG),
        )

    def _afford(self, call: Call) -> bool:
        today = int(self._clock()) // _DAY
        if today != self._day:
            self._day, self._spent = today, 0
        most = self._most(call)
        return most is not None and self._spent + most <= self._cap

    def _most(self, call: Call) -> int | None:
        """What a probe may cost; None where nobody knows."""
        rates = self._prices.rates(call)
        return None if rates is None else TOKENS * (rates.input + rates.output) // 1_000_000

    def _pay(self, call: Call) -> None:
        """What its usage costs. Of one that is not told: the most, where there was an answer or may have been one."""
        usage = call.settlement.usage if call.settlement else None
        cost = price(call, usage) if usage is not None else None
        if cost is not None and cost.nano_dollars is not None:
            self._spent += cost.nano_dollars
        elif call.settlement is None or isinstance(call.settlement.error, Timeout | None):
            self._spent += self._most(call) or 0
