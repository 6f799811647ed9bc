"""`Client` and `AsyncClient`: the calls of the SDK as methods, with a connection pool that you open and close.

The functions of the package (`dragoman.completion` ...) use one shared client a process (and one for each event loop).
Both classes do the same: sort the arguments, resolve the model to a target, run the engine's flow, make objects.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from dragoman.client import caching, callbacks, results
from dragoman.client.arguments import CHAT_PARAMETERS, EMBEDDING_PARAMETERS, Arguments, arguments
from dragoman.client.media_calls import AsyncMediaCalls, MediaCalls
from dragoman.client.mock import mocked, mocked_events
from dragoman.client.objects import EmbeddingResponse, ModelResponse
from dragoman.client.openai_errors import dress
from dragoman.client.operation_calls import AsyncOperationCalls, OperationCalls
from dragoman.client.streams import AsyncCompletionStream, CompletionStream, achunks_of, chunks_of
from dragoman.core.chat import ChatResponse
from dragoman.core.errors import DragomanError
from dragoman.core.events import Event
from dragoman.engine.call import Call, Settlement
from dragoman.engine.drive import adrive, drive
from dragoman.engine.flow import Answer, OpenedStream, answer, open_stream
from dragoman.engine.streams import StreamState, aevents, events
from dragoman.providers import registry
from dragoman.providers.base import Provider
from dragoman.router.deployment import Deployment
from dragoman.transport.base import AsyncTransport, Transport
from dragoman.transport.by_scheme import AsyncSchemeTransport, SchemeTransport

if TYPE_CHECKING:
    from dragoman.caching import Cache

_DIALECTS = {"chat": "openai_chat", "embedding": "openai_embeddings"}
_MOST_KNOWN = 1000
_PARAMETERS = {"chat": CHAT_PARAMETERS, "embedding": EMBEDDING_PARAMETERS}


class _Base:
    """What both clients do alike: everything but I/O.

    `defaults` are arguments for every call (`num_retries=0`, `timeout=20`); `env` is where keys are looked up; `cache`, where
    answers are kept.
    """

    _awaited = False
    """Whether its calls are those of an event loop."""

    def __init__(self, *, env: Mapping[str, str] | None = None, cache: Cache | None = None, **defaults: Any) -> None:
        self._env: Mapping[str, str] = os.environ if env is None else env
        self._given_defaults = defaults
        self._given_cache = cache
        self._known: dict[tuple[Any, ...], tuple[tuple[str | None, ...], Deployment]] = {}

    def _defaults(self) -> dict[str, Any]:
        return self._given_defaults

    def _cache(self) -> Cache | None:
        return self._given_cache

    def _sorted(self, model: str, parameters: frozenset[str], given: dict[str, Any]) -> Arguments:
        """The caller's keywords in their places. A client that routes takes its own from them here."""
        return arguments(model, parameters, given, self._defaults())

    def _arguments(self, model: str, operation: str, given: dict[str, Any]) -> Arguments:
        return self._sorted(model, _PARAMETERS[operation], given)

    def _call(
        self,
        model: str,
        operation: str,
        said: Arguments,
        *,
        dialect: str | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> Call:
        """The call for sorted arguments, watched by the hooks; `body` in place of theirs, where it is a form."""
        call = Call(
            operation=operation,
            dialect=dialect or _DIALECTS[operation],
            model=model,
            body=said.body if body is None else body,
            content_type=content_type,
            stream=said.stream,
            options=said.options,
            deployments=self._places(model, said),
        )
        caching.attach(call, said, self._cache())
        callbacks.attach(call, said, awaited=self._awaited)  # last: what is begun for the hooks has to end for them too
        return call

    def _places(self, model: str, said: Arguments) -> tuple[Deployment, ...]:
        """Who is asked, in turn; empty where a router's session decides."""
        return (self._deployment(model, said.place),)

    def _deployment(self, model: str, place: dict[str, Any]) -> Deployment:
        """The place to ask. Worked out once for each model and place, and again when a variable of its provider changes."""
        asked = (registry.DEFAULT, model, *place.values())
        known = self._known.get(asked)
        if known is not None and known[0] == self._variables(known[1].target.provider):
            return known[1]
        target = registry.resolve(model, env=self._env, **place)
        if target.provider.handled:
            return Deployment(target)  # what it can do changes with its handler
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[asked] = self._variables(target.provider), Deployment(target)
        return self._known[asked][1]

    def _variables(self, row: Provider) -> tuple[str | None, ...]:
        parts = (name for names in row.url_variables.values() for name in names)
        names = (*row.key_variables, *row.bearer_variables, *row.base_url_variables, *row.header_variables, *parts)
        return tuple(map(self._env.get, names))


def _response(found: Answer, call: Call) -> ModelResponse:
    made = results.model_response(found.response, now=int(time.time()))
    results.describe(made, call, found.prepared, found.raw.headers)
    return made


def _vectors(found: Answer, call: Call) -> EmbeddingResponse:
    made = results.embedding_response(found, call.request, now=int(time.time()))
    results.describe(made, call, found.prepared, found.raw.headers)
    return made


def _chunks(opened: OpenedStream, call: Call, said: Arguments, now: int) -> results.Chunks:
    headers = () if opened.stream is None else opened.stream.head.headers
    hidden = results.hidden_params(call, opened.prepared, headers)
    return results.Chunks(said.shape, hidden, dict(headers), now=now, call=call)


class Client(_Base, MediaCalls, OperationCalls):
    """The SDK for plain threads; safe to share between them.

    with Client() as client:
        print(client.completion("demo/echo", [{"role": "user", "content": "hello"}]).choices[0].message.content)
    """

    def __init__(self, *, transport: Transport | None = None, env: Mapping[str, str] | None = None, **defaults: Any) -> None:
        super().__init__(env=env, **defaults)
        self._transport = transport or SchemeTransport()

    def completion(self, model: str, messages: list[Any], **given: Any) -> ModelResponse | CompletionStream:
        """See `dragoman.completion`."""
        try:
            said = self._arguments(model, "chat", {**given, "messages": messages})
            if said.mock is not None:
                return _mocked(model, said)
            call = self._call(model, "chat", said)
            if not said.stream:
                return _response(drive(answer(call, time.monotonic, time.time), self._transport), call)
            return self._stream(drive(open_stream(call, time.monotonic, time.time), self._transport), call, said)
        except DragomanError as error:
            dress(error)
            raise

    def embedding(self, model: str, input: Any, **given: Any) -> EmbeddingResponse:  # noqa: A002 - OpenAI's name
        """See `dragoman.embedding`."""
        try:
            call = self._call(model, "embedding", self._arguments(model, "embedding", {**given, "input": input}))
            return _vectors(drive(answer(call, time.monotonic, time.time), self._transport), call)
        except DragomanError as error:
            dress(error)
            raise

    def close(self) -> None:
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _stream(self, opened: OpenedStream, call: Call, said: Arguments) -> CompletionStream:
        state, now = StreamState(opened, call), int(time.time())
        chunks = callbacks.watched(_chunks(opened, call, said, now), call)
        return CompletionStream(chunks_of(events(state, self._transport), chunks), state, now=now)


class AsyncClient(_Base, AsyncMediaCalls, AsyncOperationCalls):
    """The SDK for an event loop: the same calls, awaited. Belongs to the loop it is first used on."""

    _awaited = True

    def __init__(
        self, *, transport: AsyncTransport | None = None, env: Mapping[str, str] | None = None, **defaults: Any
    ) -> None:
        super().__init__(env=env, **defaults)
        self._transport = transport or AsyncSchemeTransport()

    async def completion(self, model: str, messages: list[Any], **given: Any) -> ModelResponse | AsyncCompletionStream:
        """See `dragoman.acompletion`."""
        try:
            said = self._arguments(model, "chat", {**given, "messages": messages})
            if said.mock is not None:
                return _amocked(model, said)
            call = self._call(model, "chat", said)
            if not said.stream:
                return _response(await adrive(answer(call, time.monotonic, time.time), self._transport), call)
            opened = await adrive(open_stream(call, time.monotonic, time.time), self._transport)
            return self._stream(opened, call, said)
        except DragomanError as error:
            dress(error)
            raise

    async def embedding(self, model: str, input: Any, **given: Any) -> EmbeddingResponse:  # noqa: A002 - OpenAI's name
        """See `dragoman.aembedding`."""
        try:
            call = self._call(model, "embedding", self._arguments(model, "embedding", {**given, "input": input}))
            return _vectors(await adrive(answer(call, time.monotonic, time.time), self._transport), call)
        except DragomanError as error:
            dress(error)
            raise

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _stream(self, opened: OpenedStream, call: Call, said: Arguments) -> AsyncCompletionStream:
        state, now = StreamState(opened, call), int(time.time())
        chunks = callbacks.watched(_chunks(opened, call, said, now), call)
        return AsyncCompletionStream(achunks_of(aevents(state, self._transport), chunks), state, now=now)


def _mocked(model: str, said: Arguments) -> ModelResponse | CompletionStream:
    now, answered = int(time.time()), _mock(model, said, awaited=False)
    if not said.stream:
        return answered if isinstance(answered, ModelResponse) else results.model_response(answered, now=now)
    chunks = results.Chunks(said.shape, {}, {}, now=now)
    return CompletionStream(chunks_of(mocked_events(answered), chunks), None, now=now)


def _amocked(model: str, said: Arguments) -> ModelResponse | AsyncCompletionStream:
    now, answered = int(time.time()), _mock(model, said, awaited=True)
    if not said.stream:
        return answered if isinstance(answered, ModelResponse) else results.model_response(answered, now=now)
    chunks = results.Chunks(said.shape, {}, {}, now=now)
    return AsyncCompletionStream(achunks_of(_aiterate(mocked_events(answered)), chunks), None, now=now)


def _mock(model: str, said: Arguments, *, awaited: bool) -> Any:
    """The answer of a mock. The hooks are told of it as of any other."""
    dialect = _DIALECTS["chat"]
    call = Call(operation="chat", dialect=dialect, model=model, body=said.body, stream=said.stream, deployments=())
    callbacks.attach(call, said, awaited=awaited)
    try:
        answered = mocked(model, said.mock)
    except Exception as error:
        call.settle(Settlement(error=error))
        raise
    call.settle(Settlement(usage=answered.usage if isinstance(answered, ChatResponse) else None, response=answered))
    return answered


async def _aiterate(batches: Iterator[list[Event]]) -> AsyncGenerator[list[Event]]:
    for batch in batches:
        yield batch
