"""The guardrails of one request, from before its call to the last byte of its answer. Called by the pipeline.

A call under guardrails tells its observers at the very end what the client got: an answer that was refused is one that
failed, though the provider has done its part, and is paid for. The router hears of the provider alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from fnmatch import fnmatchcase
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from dragoman.core import json
from dragoman.core.assemble import Assembly
from dragoman.core.errors import (
    BadRequestError,
    ConfigurationError,
    DragomanError,
    ErrorDetail,
    GuardrailRejectedError,
    PermissionDeniedError,
    StreamInterruptedError,
)
from dragoman.core.events import Event
from dragoman.engine.call import Call, Settlement
from dragoman.engine.flow import Answer, OpenedStream
from dragoman.engine.streams import StreamState, aevents
from dragoman.gateway.exchange import Exchange, Headers
from dragoman.gateway.guardrails.base import Asked, Events, Guard, Stage, Terms, undecided
from dragoman.gateway.guardrails.services import Services

if TYPE_CHECKING:
    from dragoman.gateway.governance.identity import Identity

FIELD, HEADER = "guardrails", b"x-dragoman-guardrails"
Result = TypeVar("Result")


class Guardrails:
    """All that are configured, held once a process. Raises ConfigurationError for one that needs a model that is not there."""

    def __init__(self, guards: tuple[Guard, ...], services: Services) -> None:
        self._guards = guards
        self._names = frozenset(guard.terms.name for guard in guards)
        self._services = services
        for guard in guards:
            for model in guard.asks:
                try:
                    services.check(model)
                except DragomanError as problem:
                    raise ConfigurationError(f"guardrails: {guard.terms.name}: model: {problem.message}") from None

    def screening(self, call: Call, exchange: Exchange, who: Identity | None) -> Screening | None:
        """Those that hold for this call; None without any. What the client asks for in the body is taken out of it.

        Raises BadRequestError for a name that nothing has, and PermissionDeniedError where the key was given one.
        """
        wanted = self._named(call, exchange) | self._of_scopes(who)
        names = {call.model, call.asked, *(deployment.group for deployment in call.deployments)}  # an alias is no way around
        held = [guard for guard in self._guards if _holds(guard.terms, names, wanted)]
        return Screening(held, call, self._services) if held else None

    def _named(self, call: Call, exchange: Exchange) -> set[str]:
        names = [name.strip() for name in (exchange.header(HEADER) or b"").decode("latin-1").split(",") if name.strip()]
        if call.in_json and FIELD in call.envelope:
            names += _checked(json.decode(call.envelope.pop(FIELD)))
            call.body = json.encode(call.envelope)
        for name in names:
            if name not in self._names:
                message = f"guardrails: none is called {name[:80]!r}; there are: {', '.join(sorted(self._names))}"
                raise BadRequestError(message, detail=ErrorDetail(message=message, param=FIELD), attempts=0)
        return set(names)

    def _of_scopes(self, who: Identity | None) -> set[str]:
        """Those that the key, its team or another of its scopes is under, by its metadata. What is none lets nobody in."""
        found: set[str] = set()
        for scope in who.scopes if who is not None else ():
            said = scope.metadata.get(FIELD)
            names = [said] if isinstance(said, str) else said or []
            unknown = [name for name in names if name not in self._names] if isinstance(names, list) else [said]
            if unknown:
                kind, there = scope.kind.replace("_", " "), ", ".join(sorted(self._names))
                raise PermissionDeniedError(
                    f"the {kind} {scope.name} is under a guardrail that is not there: {str(unknown[0])[:80]!r}; "
                    f"there are: {there}; tell the admin to mend its metadata.{FIELD}",
                    attempts=0,
                )
            found.update(names)
        return found


def _checked(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        message = f"guardrails: expected an array of names, found {json.kind(value)}"
        raise BadRequestError(message, detail=ErrorDetail(message=message, param=FIELD), attempts=0)
    return value


def _holds(terms: Terms, names: set[str], wanted: set[str]) -> bool:
    if not (terms.default or terms.name in wanted):
        return False
    return not terms.models or any(fnmatchcase(name, glob) for glob in terms.models for name in names)


class Screening:
    """One call under its `guards`. Used as a context: at its end the observers are told."""

    def __init__(self, guards: list[Guard], call: Call, services: Services) -> None:
        self._call = call
        self._at: dict[Stage, list[Guard]] = {
            stage: [guard for guard in guards if stage in guard.terms.stages] for stage in ("before", "during", "after")
        }
        self._asked = Asked(call, services)
        self._observers: tuple[Any, ...] = ()
        self._services = services
        self._response: Any = None
        self._seen: Assembly | None = None

    @property
    def reads_answers(self) -> bool:
        """Else an answer may go to the client as it comes."""
        return bool(self._at["after"])

    async def __aenter__(self) -> Self:
        """The answer is decoded where somebody has to read it."""
        call = self._call
        self._observers, call.observers = call.observers, (_nobody,)
        if self.reads_answers:
            call.options = msgspec.structs.replace(call.options, relay=False)
        return self

    async def __aexit__(self, _: type[BaseException] | None, problem: BaseException | None, __: TracebackType | None) -> None:
        self._tell(problem)

    async def before(self) -> None:
        """Raises GuardrailRejectedError. A request that is masked is asked in its new words."""
        guards = self._at["before"]
        if not guards:
            return
        call = self._call
        request = call.request
        for guard in guards:
            request = await self._asked.asking(guard.terms, "request", guard.request(request, self._asked, "before"), request)
        if request is not call.request:
            call.rewrite(request)

    async def alongside(self, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of `work`, once those who look at the request beside it have spoken; if one says no, it is ended."""
        guards = self._at["during"]
        if not guards:
            return await work
        request = self._call.request
        asked = self._asked
        checks = [asked.asking(guard.terms, "request", guard.request(request, asked, "during"), request) for guard in guards]
        return await _both(work, checks)

    async def after(self, found: Answer) -> Answer:
        """The answer as the client may see it. Raises GuardrailRejectedError."""
        response = found.response
        if response is not None:
            for guard in self._at["after"]:
                response = await self._asked.asking(guard.terms, "answer", guard.response(response, self._asked), response)
        self._response = response
        self._warn()
        return found if response is found.response else msgspec.structs.replace(found, response=response)

    async def stream(
        self,
        opened: OpenedStream,
        exchange: Exchange,
        dialect: Any,
        encode: Callable[[Event], bytes],
        head: Callable[[], Headers],
    ) -> None:
        """Write a stream as the client may see it. Raises what is wrong before anything is written; else it ends with that."""
        seen = self._seen = Assembly()
        try:
            async with AsyncExitStack() as stack:
                async for batch in await self._screened(opened, stack):
                    for event in batch:
                        seen.add(event)
                    data = b"".join([encode(event) for event in batch])
                    if data and not exchange.response_started:
                        self._warn()
                        exchange.start(200, head())
                    if data:
                        exchange.write(data)
                    await exchange.drain()
        except DragomanError as problem:
            if not exchange.response_started:
                raise
            self._tell(problem)
            exchange.write(dialect.encode_stream_error(problem))
        exchange.finish()

    async def _screened(self, opened: OpenedStream, stack: AsyncExitStack) -> Events:
        events: Events = await stack.enter_async_context(
            aclosing(aevents(StreamState(opened, self._call), self._services.transport))
        )
        for guard in self._at["after"]:
            events = await stack.enter_async_context(aclosing(self._guarded(guard, events)))
        return events

    async def _guarded(self, guard: Guard, events: Events) -> Events:
        """A guard that fails in the middle of a stream ends it, whatever its terms say: what it held cannot be given back."""
        try:
            async for batch in guard.stream(events, self._asked):
                yield batch
        except (GuardrailRejectedError, StreamInterruptedError):
            raise
        except Exception as problem:
            raise undecided(guard.terms, "answer", problem) from problem

    def _warn(self) -> None:
        warnings = self._asked.warnings
        self._call.warnings += tuple(warnings)
        warnings.clear()

    def _tell(self, problem: BaseException | None) -> None:
        """The observers learn how the call ended for the client. Only the first time counts."""
        call, observers = self._call, self._observers
        self._observers = ()
        if call.settlement is None:
            failed = isinstance(problem, Exception)
            call.settle(Settlement(error=problem if failed else None, cancelled=not failed))  # type: ignore[arg-type]
        settlement = call.settlement
        if settlement is None:
            return
        changes: dict[str, Any] = {}
        if self.reads_answers:
            changes["response"] = self._response if self._seen is None else self._seen.response()
        if isinstance(problem, GuardrailRejectedError):
            changes |= {"error": problem, "cancelled": False}
        call.settlement = msgspec.structs.replace(settlement, **changes)
        for observe in observers:
            observe(call)


def _nobody(_: Call) -> None:
    """Stands for the observers until the guards have spoken."""


async def _both(work: Coroutine[Any, Any, Result], checks: list[Coroutine[Any, Any, Any]]) -> Result:
    """Both at once; whichever fails first ends the other."""
    answer = asyncio.ensure_future(work)
    guards = [asyncio.ensure_future(check) for check in checks]
    try:
        await asyncio.wait({answer, *guards}, return_when=asyncio.FIRST_EXCEPTION)
        for guard in guards:
            if guard.done():
                guard.result()
        found = await answer
        for guard in guards:
            await guard
    except BaseException:
        for task in (answer, *guards):
            task.cancel()
        ended = await asyncio.gather(answer, *guards, return_exceptions=True)
        if isinstance(ended[0], OpenedStream) and ended[0].stream is not None:
            await ended[0].stream.aclose()
        raise
    return found
