"""Carries requests to `local://runtime/v1/...` to the child process of the model they name, over an HTTP transport.

It makes sure that the child runs, puts its address and key into the request, and turns a forced tool call into JSON and back
(`providers.local_tools`). It starts nothing itself and knows no dialect beyond that. A request that did not reach its child
is sent once more; one whose child died over it fails, and the next call has a new child. Built by `transport.by_scheme`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Struct

from dragoman.core import json
from dragoman.core.errors import BadRequestError
from dragoman.core.http import HttpRequest, HttpResponse, ResponseHead, Timeouts, TransportFailure
from dragoman.local import runtime as runtimes
from dragoman.local.runtime import Lease, Runtime
from dragoman.providers import local_tools
from dragoman.providers.local import LocalModel, parse_model
from dragoman.transport.base import AsyncByteStream, AsyncTransport, ByteStream, Transport

_STARTS = 3
"""How often a child may die between its start and its first request before that is an error."""


class _Job(Struct, frozen=True):
    """One request, read: which model, and what to send to its child. `call`: the answer is a tool call in disguise."""

    model: LocalModel
    request: HttpRequest
    path: str
    call: bool

    @classmethod
    def of(cls, request: HttpRequest) -> _Job:
        """Raises BadRequestError or ConfigurationError, which name what is wrong with the model."""
        try:
            envelope = json.decode_envelope(request.body)
            name = json.read(envelope, "model")
        except json.DecodeError as error:
            raise BadRequestError(f"the body is not a JSON object: {error}", llm_provider="local") from error
        if not isinstance(name, str):
            raise BadRequestError(f"model: expected a string, found {json.kind(name)}", llm_provider="local")
        path = "/" + request.url.partition("://")[2].partition("/")[2]
        body, call = request.body, False
        if "tools" in envelope and parse_model(name).gguf is None:
            whole: dict[str, Any] = json.decode(request.body)
            call = local_tools.force_call(whole)
            body = json.encode(whole)
        headers = tuple(pair for pair in request.headers if pair[0] != "authorization")
        kept = HttpRequest(method=request.method, url=request.url, headers=headers, body=body)
        return cls(parse_model(name), kept, path, call)

    def addressed(self, lease: Lease) -> HttpRequest:
        child, request = lease.child, self.request
        return HttpRequest(
            method=request.method,
            url=child.base_url + self.path,
            headers=(*request.headers, ("authorization", f"Bearer {child.key}")),
            body=request.body,
        )

    def answered(self, response: HttpResponse) -> HttpResponse:
        if not self.call or response.status != 200:
            return response
        body = local_tools.repackage(response.body)
        headers = tuple(pair for pair in response.headers if pair[0] != "content-length")
        return HttpResponse(status=200, headers=(*headers, ("content-length", str(len(body)))), body=body)

    def rewriter(self, head: ResponseHead) -> local_tools.CallStream | None:
        return local_tools.CallStream() if self.call and head.status == 200 else None


def _gone(model: LocalModel) -> TransportFailure:
    return TransportFailure("connect", f"local/{model.name} ends as soon as it is started", sent=False)


def _worth_repeating(failure: TransportFailure, lease: Lease) -> bool:
    """Whether to try once more. Ends the lease; may block for a moment.

    A child that takes no connection is replaced. The runtime's server now and then drops a connection that it kept open:
    when the child lives on, nothing was lost by that. When it does not, the request may have been what killed it.
    """
    lease.doubt()
    lease.release()
    if failure.kind == "connect":
        lease.discard()
        return True
    return failure.kind == "closed" and lease.child.survives()


# -------------------------------------------------------------------------------------------------------------------- sync
class _LeasedStream:
    """A stream that gives its lease back when it is closed."""

    def __init__(self, inner: ByteStream, lease: Lease, rewriter: local_tools.CallStream | None) -> None:
        self.head = inner.head
        self._inner = inner
        self._lease = lease
        self._rewriter = rewriter

    def read(self) -> bytes:
        if self._rewriter is None:
            return self._piece()
        while piece := self._piece():
            if rewritten := self._rewriter.feed(piece):
                return rewritten
        return self._rewriter.flush()

    def _piece(self) -> bytes:
        try:
            return self._inner.read()
        except TransportFailure:
            self._lease.doubt()
            raise

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._lease.release()


class LocalTransport:
    """Over `inner`, which is not closed with it. The children are those of the process, unless a runtime is given."""

    def __init__(self, inner: Transport, runtime: Runtime | None = None) -> None:
        self._inner = inner
        self._runtime = runtime

    def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        job = _Job.of(request)
        response, lease = self._carry(job, lambda addressed: self._inner.send(addressed, timeouts))
        lease.release()
        return job.answered(response)

    def stream(self, request: HttpRequest, timeouts: Timeouts) -> ByteStream:
        job = _Job.of(request)
        inner, lease = self._carry(job, lambda addressed: self._inner.stream(addressed, timeouts))
        return _LeasedStream(inner, lease, job.rewriter(inner.head))

    def close(self) -> None:
        """Nothing: the children belong to the process, and stop when they are idle or it ends."""

    def _carry(self, job: _Job, exchange: Any, *, repeated: bool = False) -> tuple[Any, Lease]:
        runtime = self._runtime or runtimes.shared()
        lease = self._lease(runtime, job.model)
        try:
            return exchange(job.addressed(lease)), lease
        except TransportFailure as failure:
            if repeated or not _worth_repeating(failure, lease):
                raise
        except BaseException:
            lease.release()
            raise
        return self._carry(job, exchange, repeated=True)

    def _lease(self, runtime: Runtime, model: LocalModel) -> Lease:
        for _ in range(_STARTS):
            if (lease := runtime.lease(model)) is not None:
                return lease
            runtime.ensure(model)
        raise _gone(model)


# ------------------------------------------------------------------------------------------------------------------- async
class _AsyncLeasedStream:
    def __init__(self, inner: AsyncByteStream, lease: Lease, rewriter: local_tools.CallStream | None) -> None:
        self.head = inner.head
        self._inner = inner
        self._lease = lease
        self._rewriter = rewriter

    async def read(self) -> bytes:
        if self._rewriter is None:
            return await self._piece()
        while piece := await self._piece():
            if rewritten := self._rewriter.feed(piece):
                return rewritten
        return self._rewriter.flush()

    async def _piece(self) -> bytes:
        try:
            return await self._inner.read()
        except TransportFailure:
            self._lease.doubt()
            raise

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._lease.release()


class AsyncLocalTransport:
    """As `LocalTransport`, for the event loop: a child is started in a thread, so the loop goes on meanwhile."""

    def __init__(self, inner: AsyncTransport, runtime: Runtime | None = None) -> None:
        self._inner = inner
        self._runtime = runtime

    async def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        job = _Job.of(request)
        response, lease = await self._carry(job, lambda addressed: self._inner.send(addressed, timeouts))
        lease.release()
        return job.answered(response)

    async def stream(self, request: HttpRequest, timeouts: Timeouts) -> AsyncByteStream:
        job = _Job.of(request)
        inner, lease = await self._carry(job, lambda addressed: self._inner.stream(addressed, timeouts))
        return _AsyncLeasedStream(inner, lease, job.rewriter(inner.head))

    async def aclose(self) -> None:
        """Nothing, as in `LocalTransport.close`."""

    async def _carry(self, job: _Job, exchange: Any, *, repeated: bool = False) -> tuple[Any, Lease]:
        runtime = self._runtime or runtimes.shared()
        lease = await self._lease(runtime, job.model)
        try:
            return await exchange(job.addressed(lease)), lease
        except TransportFailure as failure:
            if repeated or not await asyncio.to_thread(_worth_repeating, failure, lease):
                raise
        except BaseException:
            lease.release()
            raise
        return await self._carry(job, exchange, repeated=True)

    async def _lease(self, runtime: Runtime, model: LocalModel) -> Lease:
        for _ in range(_STARTS):
            if (lease := runtime.lease(model)) is not None:
                return lease
            await asyncio.to_thread(runtime.ensure, model)
        raise _gone(model)
