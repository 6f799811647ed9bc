"""The way of one request through the gateway, top to bottom: who asks, for what, run the engine, reply, settle.

Called by the servers with an Exchange, knows no socket. Where the client's dialect is the provider's, bytes are relayed
(`relay.py`); elsewhere the answer is decoded and written anew in the client's dialect. Whatever happens the client gets
one whole answer or a typed error in its own dialect, and a client that leaves takes its upstream request with it.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable, Coroutine
from functools import cached_property, partial
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

from dragoman.core import json
from dragoman.core.errors import BadRequestError, DragomanError, InvalidKeyError
from dragoman.core.http import header
from dragoman.dialects import registry
from dragoman.engine.call import Call, CallOptions, Observer, Settlement
from dragoman.engine.drive import Push, adrive
from dragoman.engine.flow import Answer, OpenedStream, answer, open_stream
from dragoman.engine.request_facts import request_facts, without_tags
from dragoman.engine.streams import StreamState
from dragoman.gateway import serving, thrifty
from dragoman.gateway.answer_headers import answer_headers, error_headers
from dragoman.gateway.asked_timeouts import asked_options
from dragoman.gateway.exchange import Exchange, Headers
from dragoman.gateway.relay import Relay, Rewrite, StreamWriter, push
from dragoman.gateway.request_ids import request_id
from dragoman.gateway.serving import JSON_HEADERS, end_unanswered, failed
from dragoman.gateway.standing import standing
from dragoman.gateway.subject import UNREADABLE, Asked, Subject, aliased, at, in_the_body, not_json, session_of
from dragoman.gateway.turn import Turn
from dragoman.router.deployment import Deployment
from dragoman.router.direct import Sessionlike
from dragoman.router.policy import Policy
from dragoman.transport.base import AsyncTransport

if TYPE_CHECKING:
    from dragoman.gateway.admission import Admission
    from dragoman.gateway.caching import Caching
    from dragoman.gateway.governance.identity import Identity
    from dragoman.gateway.guardrails.screening import Guardrails, Screening
    from dragoman.gateway.observing.requests import Requests

logger = logging.getLogger("dragoman.gateway")

_EVENTS: Headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_STREAMED = frozenset({"chat", "responses", "completion"})
_NOT_JSON = frozenset({"speech", "transcription", "translation"})
"""Operations whose relayed answers need their own content-type."""


class Pipeline:
    """Everything a request needs, held once a process."""

    def __init__(self, policy: Policy, transport: AsyncTransport, *, options: CallOptions, api_key: str | None = None) -> None:
        self.policy = policy
        self.transport = transport
        self._options = msgspec.structs.replace(options, relay=True)
        self._api_key = None if api_key is None else api_key.encode()
        self._rng = Random()  # noqa: S311 - which deployment is asked is no secret
        self.admission: Admission | None = None
        """Set when the server starts, where the configuration has a `governance`."""
        self.guardrails: Guardrails | None = None
        """Set where the configuration has any."""
        self.caching: Caching | None = None
        """Set where the configuration has a `cache`."""
        self.observers: tuple[Observer, ...] = ()
        """Told of every call of every face when it settles."""
        self.requests: Requests | None = None
        """Told of every request, where anything watches them."""

    def authorise(self, header: Callable[[bytes], bytes | None]) -> None:
        """Raises InvalidKeyError unless the request shows the gateway's key, when there is one. `header` looks one up."""
        if self._api_key is None:
            return
        shown = header(b"authorization") or b""
        key = shown[7:] if shown[:7].lower() == b"bearer " else header(b"x-api-key") or header(b"api-key") or b""
        if not hmac.compare_digest(key, self._api_key):
            problem = "the API key is wrong" if key else "no API key was sent: use Authorization: Bearer KEY or x-api-key: KEY"
            raise InvalidKeyError(problem)

    async def authorised(self, header: Callable[[bytes], bytes | None], client: str) -> Identity | None:
        """As `authorise`, whoever has to be asked; under governance any key of its own will do. `client`: host:port.

        Comes back: who it is, None where there is no governance.
        """
        if self.admission is not None:
            return await self.admission.load(header, client)
        self.authorise(header)
        return None

    def screening(self, call: Call, exchange: Exchange, who: Identity | None) -> Screening | None:
        """The call may be answered from the cache, where there is one; comes back the guardrails it is under, None without any.

        What the body says of either is taken out of it. To be asked before the call is admitted. Raises BadRequestError.
        """
        if self.caching is not None:
            self.caching.use(call, who, exchange)
        return None if self.guardrails is None else self.guardrails.screening(call, exchange, who)

    def admitted(self, who: Identity | None, call: Call, exchange: Exchange, identity: bytes) -> bool:
        """Hold what the call may cost, and have it watched. False: that takes `admit`. Raises the errors of governance."""
        if self.admission is not None and who is not None and not self.admission.admit(who, call, exchange, identity):
            return False
        self._watch(who, call, exchange, identity)
        return True

    async def admit(self, who: Identity | None, call: Call, exchange: Exchange, identity: bytes) -> None:
        """As `admitted`, whatever has to be asked for it. `identity` is that of the request."""
        if self.admission is not None and who is not None:
            await self.admission.admit_late(who, call, exchange, identity)
        self._watch(who, call, exchange, identity)

    def _watch(self, who: Identity | None, call: Call, exchange: Exchange, identity: bytes) -> None:
        call.observers += self.observers
        if self.requests is not None:
            self.requests.begins(call, exchange, identity, who)

    def refused(
        self,
        error: DragomanError,
        exchange: Exchange,
        identity: bytes,
        operation: str,
        dialect: str,
        *,
        call: Call | None = None,
    ) -> None:
        """The answer is an error: every face says so here. Of a call that has ended whoever watches knows already."""
        if self.requests is not None:
            self.requests.refused(error, operation=operation, dialect=dialect, exchange=exchange, identity=identity, call=call)

    def call(self, operation: str, dialect: str, subject: Subject, exchange: Exchange, who: Identity | None) -> Call:
        """The call that the request asks for. Raises BadRequestError and NotFoundError."""
        model, stream, envelope, content_type, alias = asked = subject(exchange)
        if stream and operation not in _STREAMED:
            raise BadRequestError(f"stream: the answer to {operation} comes whole; leave it out", detail=at("stream"))
        options = asked_options(self._options, exchange.named, stream=stream)
        body, session = exchange.body, None
        deployments = self.policy.alone(model)
        if deployments is None:
            deployments, session = self._routed(asked, exchange, options.timeouts.total, who)
            if session is not None and envelope is not None and self.policy.settings.tag_filtering:
                envelope = without_tags(envelope)
                body = json.encode(envelope)
        return Call(
            operation=operation,
            dialect=dialect,
            model=model,
            body=body,
            content_type=content_type,
            envelope=envelope,
            deployments=deployments,
            stream=stream,
            options=options,
            session=session,
            alias=alias,
        )

    def _routed(
        self, asked: Asked, exchange: Exchange, total: float | None, who: Identity | None
    ) -> tuple[tuple[Deployment, ...], Sessionlike | None]:
        """A deployment of the group, and the session that chooses among them all."""
        policy = self.policy
        group = policy.group(asked.model)
        if group.alone is not None:
            return group.alone, None
        facts = request_facts(
            asked.envelope or {},
            asked.model,
            stream=asked.stream,
            session=session_of(exchange),
            tagged=policy.settings.tag_filtering,
            deadline=None if total is None else perf_counter() + total,
            **standing(policy.settings.queue, exchange, who),
        )
        return (group.nodes[0].deployment,), policy.begin(facts, self._rng)


class Route:
    """A handler for one (operation, client dialect)."""

    def __init__(self, pipeline: Pipeline, operation: str, dialect: str, subject: Subject = in_the_body) -> None:
        self.pipeline = pipeline
        self.operation = operation
        self.subject = subject
        self.name = dialect

    @cached_property
    def dialect(self) -> Any:
        """Imported when the first request comes."""
        return registry.get(self.name)

    def encode_error(self, error: DragomanError) -> bytes:
        body: bytes = self.dialect.encode_error(error)
        return body

    def __call__(self, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
        return Answering(self, exchange).begin()


class Answering:
    """One request on its way. A whole answer goes through in callbacks, a stream in a task."""

    __slots__ = ("_began", "_call", "_exchange", "_identity", "_route", "_screening")

    def __init__(self, route: Route, exchange: Exchange) -> None:
        self._route = route
        self._exchange = exchange
        self._began = perf_counter()
        self._identity = request_id(exchange.header(b"x-request-id"))
        self._call: Call | None = None
        self._screening: Screening | None = None

    def begin(self) -> Coroutine[Any, Any, None] | None:
        exchange, pipeline = self._exchange, self._route.pipeline
        admission, who = pipeline.admission, None
        try:
            if admission is None:
                pipeline.authorise(exchange.header)
            else:
                who = admission.identify(exchange)
                if who is None:
                    return self.in_turn()
            call = self._asked(who)
            if self._screening is not None or not pipeline.admitted(who, call, exchange, self._identity):
                return self.in_turn()
        except (DragomanError, *UNREADABLE) as problem:
            self._explained(problem)
            return None
        if call.stream:
            return self._stream(call)
        run = Push(answer(call, perf_counter, time.time), pipeline.transport, self._whole)
        exchange.on_disconnect(run.cancel)
        run.start()
        return None

    def _asked(self, who: Identity | None) -> Call:
        route, pipeline = self._route, self._route.pipeline
        subject = route.subject if who is None or not who.aliases else aliased(route.subject, who.aliases)
        self._call = call = pipeline.call(route.operation, route.name, subject, self._exchange, who)
        if who is not None and who.thrifty:
            self._call = call = thrifty.served(pipeline, who, call, subject, self._exchange)
        self._screening = pipeline.screening(call, self._exchange, who)
        return call

    async def in_turn(self) -> None:
        """The same in a task, where something has to be waited for before the call may begin."""
        exchange, pipeline = self._exchange, self._route.pipeline
        with Turn(exchange, self._explained, self._settle):
            who = await self._authorised()
            call = self._call or self._asked(who)
            await pipeline.admit(who, call, exchange, self._identity)
            if self._screening is not None:
                await self._screened(call, self._screening)
            elif call.stream:
                await self._streamed(call)
            else:
                self._respond(await adrive(answer(call, perf_counter, time.time), pipeline.transport), call)

    async def _authorised(self) -> Identity | None:
        return await self._route.pipeline.authorised(self._exchange.header, self._exchange.client)

    async def _screened(self, call: Call, screening: Screening) -> None:
        """The same under guardrails."""
        transport = self._route.pipeline.transport
        async with screening:
            await screening.before()
            if not call.stream:
                found = await screening.alongside(adrive(answer(call, perf_counter, time.time), transport))
                self._respond(await screening.after(found), call)
                return
            opened = await screening.alongside(adrive(open_stream(call, perf_counter, time.time), transport))
            try:
                if not screening.reads_answers:
                    await self._written(opened, call)
                    return
                dialect = self._route.dialect
                encoder = dialect.stream_encoder(call.request, now=int(time.time()))
                head = partial(answer_headers, _EVENTS, call, opened.prepared, self._identity, self._began)
                await screening.stream(opened, self._exchange, dialect, encoder.encode, head)
            finally:
                if opened.stream is not None:
                    await opened.stream.aclose()

    def _whole(self, found: Answer, problem: BaseException | None) -> None:
        """The end of the flow. What fails here reaches nobody else, so it becomes the answer."""
        call = self._call
        try:
            if problem is not None or call is None:
                raise problem or LookupError("an answer to no call")
            self._respond(found, call)
        except asyncio.CancelledError:
            end_unanswered(self._serving(), self._exchange)
        except Exception as other:  # noqa: BLE001 - the client has to be told, and the log
            if not self._explained(other):
                failed(self._serving(), self._exchange, other)
        self._settle()

    def _respond(self, found: Answer, call: Call) -> None:
        content, body = JSON_HEADERS, found.raw.body
        if found.response is not None:
            dialect, now = self._route.dialect, int(time.time())
            if hasattr(dialect, "encode_answer"):
                body, media_type = dialect.encode_answer(found.response, call.request, now=now)
                content = [(b"content-type", media_type.encode("latin-1"))]
            else:
                body = dialect.encode_response(found.response, now=now)
        elif self._route.operation in _NOT_JSON:
            media_type = header(found.raw.headers, "content-type") or "application/octet-stream"
            content = [(b"content-type", media_type.encode("latin-1"))]
        self._exchange.respond(200, answer_headers(content, call, found.prepared, self._identity, self._began), body)

    async def _stream(self, call: Call) -> None:
        with Turn(self._exchange, self._explained, self._settle):
            await self._streamed(call)

    async def _streamed(self, call: Call) -> None:
        opened = await adrive(open_stream(call, perf_counter, time.time), self._route.pipeline.transport)
        try:
            await self._written(opened, call)
        finally:
            if opened.stream is not None:
                await opened.stream.aclose()

    async def _written(self, opened: OpenedStream, call: Call) -> None:
        exchange = self._exchange
        exchange.start(200, answer_headers(_EVENTS, call, opened.prepared, self._identity, self._began))
        await push(opened.stream, self._writer(opened, call), exchange, self._route.pipeline.transport)

    def _writer(self, opened: OpenedStream, call: Call) -> StreamWriter:
        dialect = self._route.dialect
        if opened.relay:
            return Relay(opened, call, self._exchange, dialect)
        encoder = dialect.stream_encoder(call.request, now=int(time.time()))
        return Rewrite(StreamState(opened, call), self._exchange, dialect, encoder)

    def _explained(self, problem: Exception) -> bool:
        """Whether the problem says what is wrong with the request or the call; then it is the answer."""
        if isinstance(problem, DragomanError):
            error = problem
        elif isinstance(problem, UNREADABLE) and not (self._call and self._call.attempts):
            error = not_json(problem)  # in a value that nobody had looked at yet
        else:
            return False
        route = self._route
        route.pipeline.refused(error, self._exchange, self._identity, route.operation, route.name, call=self._call)
        self._refuse(error)
        return True

    def _refuse(self, error: DragomanError) -> None:
        status = error.status_code if 400 <= error.status_code < 600 else 502  # providers have sent stranger ones
        self._exchange.respond(status, error_headers(error, self._identity, self._call), self._route.encode_error(error))

    def _settle(self) -> None:
        call = self._call
        if call is not None and call.settlement is None:
            call.settle(Settlement(cancelled=True))

    def _serving(self) -> serving.Route:
        return serving.Route(self._route, self._route.encode_error)
