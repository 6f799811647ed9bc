"""POST /generate and its kin: a request with candidates, answered whole or as a stream, on the way of `pipeline.Answering`.

The engine does the asking; what is here is the form: one deadline for the whole call, comments that keep a silent stream
alive, and errors as the clients read them, in the status of a plain answer and as an event in a stream.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import nullcontext
from time import perf_counter
from typing import Any

from dragoman.core import json
from dragoman.core.chat import ChatResponse
from dragoman.core.errors import DragomanError, Timeout
from dragoman.dialects.gptrouter import errors
from dragoman.dialects.gptrouter.answers import encode_answer
from dragoman.dialects.gptrouter.requests import Generation
from dragoman.dialects.gptrouter.stream import GPTRouterStreamEncoder
from dragoman.dialects.gptrouter.wire import NAME, PING, PREAMBLE
from dragoman.engine.call import Settlement
from dragoman.engine.drive import adrive
from dragoman.engine.flow import Answer, OpenedStream, answer, open_stream
from dragoman.engine.steps import Flow
from dragoman.engine.streams import StreamState
from dragoman.gateway.answer_headers import answer_headers, error_headers
from dragoman.gateway.exchange import Exchange, Headers
from dragoman.gateway.gptrouter.face import Face
from dragoman.gateway.gptrouter.governed import Said, admit
from dragoman.gateway.gptrouter.plan import Planned, plan
from dragoman.gateway.gptrouter.trail import answered_by, source, trail
from dragoman.gateway.pipeline import Answering, Route
from dragoman.gateway.relay import Rewrite, push
from dragoman.gateway.serving import JSON_HEADERS
from dragoman.gateway.turn import Turn

EVENTS: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache,no-transform"),
    (b"x-no-compression", b"1"),
]

_REFUSALS = frozenset({401, 403, 429})
"""How the gateway refuses a key, what it may not do, and what it has spent."""

Reader = Callable[[Face, Exchange], Coroutine[Any, Any, Generation]]
Writer = Callable[[ChatResponse, Planned], bytes]


def write_answer(response: ChatResponse, planned: Planned) -> bytes:
    manner = planned.manner(answered_by(planned.call))
    return encode_answer(response, source(planned, response.usage), manner)


def write_text(response: ChatResponse, planned: Planned) -> bytes:
    """The short form of the vision route."""
    body = json.decode(write_answer(response, planned))
    text = body["choices"][0]["text"] if body["choices"] else ""
    return json.encode({"response": text, "meta": body["meta"]})


class GenerateRoute(Route):
    """A handler; `read` makes a Generation of the exchange, `write` the body of a plain answer."""

    def __init__(self, face: Face, read: Reader, write: Writer = write_answer) -> None:
        super().__init__(face.pipeline, "chat", NAME)
        self.face = face
        self.read = read
        self.write = write

    def __call__(self, exchange: Exchange) -> Coroutine[Any, Any, None]:
        return Generating(self, exchange).run()


class Generating(Answering):
    """One request on its way. `_begun`: the head of a stream went out, maybe with no more than comments behind it."""

    __slots__ = ("_begun", "_deadline", "_overdue", "_pinger", "_planned", "_stream_asked")

    def __init__(self, route: GenerateRoute, exchange: Exchange) -> None:
        super().__init__(route, exchange)
        self._planned: Planned | None = None
        self._begun = False
        self._stream_asked = _asks_for_stream(exchange.body)
        self._overdue: Timeout | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._pinger: asyncio.TimerHandle | None = None

    @property
    def _face(self) -> Face:
        face: Face = self._route.face  # type: ignore[attr-defined]  # it was made by a GenerateRoute
        return face

    async def run(self) -> None:
        with Turn(self._exchange, self._explained, self._end):
            try:
                await self._answered()
            except asyncio.CancelledError:
                if self._overdue is None:
                    raise
                raise self._overdue from None

    async def _answered(self) -> None:
        face, exchange = self._face, self._exchange
        who = await face.authorised(exchange)
        generation = await self._route.read(face, exchange)  # type: ignore[attr-defined]  # as above
        planned = plan(generation, face.directory, face.pipeline.policy, face.options)
        self._screening = face.pipeline.screening(planned.call, exchange, who)
        if self._screening is not None:
            planned.need_one_conversation()
        groups = [choice.found.group for choice in planned.choices]
        await admit(face, exchange, planned.call, Said(who, self._identity, groups, planned.labels(generation.labels)))
        self._planned, self._call = planned, planned.call
        self._limit(planned)
        async with self._screening or nullcontext():
            if self._screening is not None:
                await self._screening.before()
            await (self._events(planned) if generation.stream else self._plain(planned))

    def _end(self) -> None:
        for timer in (self._deadline, self._pinger):
            if timer is not None:
                timer.cancel()
        self._settle()

    async def _plain(self, planned: Planned) -> None:
        found: Answer = await self._run(answer(planned.call, perf_counter, time.time))
        if self._screening is not None:
            found = await self._screening.after(found)
        body = self._route.write(found.response, planned)  # type: ignore[attr-defined]  # as above
        headers = answer_headers(JSON_HEADERS, planned.call, found.prepared, self._identity, self._began)
        self._exchange.respond(200, headers, body)

    async def _events(self, planned: Planned) -> None:
        exchange = self._exchange
        self._ping_later()
        opened: OpenedStream = await self._run(open_stream(planned.call, perf_counter, time.time))
        try:
            preamble_sent, guards = self._begun, self._screening
            self._begin(answer_headers(EVENTS, planned.call, opened.prepared, self._identity, self._began))
            read = guards is not None and guards.reads_answers
            if read and not preamble_sent:  # the head goes out, so that what guards refuse is an event
                exchange.write(PREAMBLE)
            manner = planned.manner(opened.prepared.deployment)
            encoder = GPTRouterStreamEncoder(lambda usage: source(planned, usage), manner, begun=preamble_sent or read)
            if guards is not None and read:
                await guards.stream(opened, exchange, self, encoder.encode, list)
                return
            writer = Rewrite(StreamState(opened, planned.call), exchange, self, encoder)
            await push(opened.stream, writer, exchange, self._face.pipeline.transport)
        finally:
            if opened.stream is not None:
                await opened.stream.aclose()

    async def _run(self, flow: Flow[Any]) -> Any:
        work = adrive(flow, self._face.pipeline.transport)
        return await (work if self._screening is None else self._screening.alongside(work))

    def encode_stream_error(self, error: DragomanError) -> bytes:
        """What `Rewrite` ends a broken stream with."""
        return errors.encode_stream_error(error, self._trail())

    # Refusals

    def _refuse(self, error: DragomanError) -> None:
        exchange = self._exchange
        if exchange.response_complete or exchange.disconnected:
            return
        headers = error_headers(error, self._identity, self._call)
        if not self._stream_asked:
            exchange.respond(errors.status_of(error), headers, errors.encode_error(error, self._trail()))
        elif self._begun:
            exchange.write(self.encode_stream_error(error))
            exchange.finish()
        else:
            refused = self._call is None and errors.status_of(error) in _REFUSALS
            honest = refused and self._face.settings.stream_refusals == "status"
            status = errors.status_of(error) if honest else 200
            body = PREAMBLE + self.encode_stream_error(error)
            exchange.respond(status, EVENTS + headers[len(JSON_HEADERS) :], body)

    def _trail(self) -> tuple[dict[str, Any], ...]:
        return () if self._planned is None else trail(self._planned)

    # Time

    def _limit(self, planned: Planned) -> None:
        """One deadline for all attempts and the whole stream."""
        task = asyncio.current_task()
        if planned.seconds is not None and task is not None:
            self._deadline = task.get_loop().call_later(planned.seconds, self._late, planned, task)

    def _late(self, planned: Planned, task: asyncio.Task[Any]) -> None:
        if planned.call.settlement is not None:
            return  # the answer is on its way to the client
        milliseconds = (planned.seconds or 0.0) * 1000
        message = f"timeout: the call took longer than the {milliseconds:g} ms that the request gives it; raise timeout"
        self._overdue = Timeout(message, attempts=len(planned.call.attempts))
        planned.call.settle(Settlement(error=self._overdue))
        task.cancel()

    def _ping_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._pinger = loop.call_later(self._face.settings.ping_seconds, self._ping)

    def _ping(self) -> None:
        if self._exchange.response_complete or self._exchange.disconnected:
            return
        if not self._begun:
            self._begin([*EVENTS, (b"x-request-id", self._identity)])
            self._exchange.write(PREAMBLE)
        self._exchange.write(PING)
        self._ping_later()

    def _begin(self, headers: Headers) -> None:
        if not self._begun:
            self._exchange.start(200, headers)
            self._begun = True


def _asks_for_stream(body: bytes) -> bool:
    """Whether a stream is wanted, before anything of the request was judged: it decides how a refusal is said."""
    try:
        held = json.decode_envelope(body).get("stream")
    except (json.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return held is not None and bytes(held).strip() == b"true"
