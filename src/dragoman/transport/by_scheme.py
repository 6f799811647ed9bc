"""One transport for all URLs: the scheme decides who carries a request. Each is built when it is first needed.

`http` and `https` go over a real connection, `local` to the model in a child process, `demo` to the one in this process,
`custom` to a handler of the user's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from dragoman.core.errors import ConfigurationError
from dragoman.core.http import HttpRequest, HttpResponse, Timeouts
from dragoman.transport.base import AsyncByteStream, AsyncTransport, ByteStream, Resume, Started, Transport


class SchemeTransport:
    """The sync side. `overrides` replaces the transport of a scheme, for tests and for unusual networks."""

    def __init__(self, overrides: dict[str, Transport] | None = None) -> None:
        self._ready: dict[str, Transport] = dict(overrides or {})

    def send(self, request: HttpRequest, timeouts: Timeouts) -> HttpResponse:
        return self._for(request.url).send(request, timeouts)

    def stream(self, request: HttpRequest, timeouts: Timeouts) -> ByteStream:
        return self._for(request.url).stream(request, timeouts)

    def close(self) -> None:
        for transport in set(self._ready.values()):
            transport.close()

    def _for(self, url: str) -> Transport:
        scheme = url.partition(":")[0]
        found = self._ready.get(scheme)
        if found is None:
            found = self._ready[scheme] = _builder(_SYNC, scheme)(lambda: self._for("http:"))
            if scheme == "https":
                self._ready.setdefault("http", found)
        return found


class AsyncSchemeTransport:
    """The async side. One for each event loop."""

    def __init__(self, overrides: dict[str, AsyncTransport] | None = None) -> None:
        self._ready: dict[str, AsyncTransport] = dict(overrides or {})

    def send(self, request: HttpRequest, timeouts: Timeouts) -> Coroutine[Any, Any, HttpResponse]:
        return self.carrier(request.url).send(request, timeouts)

    def stream(self, request: HttpRequest, timeouts: Timeouts) -> Coroutine[Any, Any, AsyncByteStream]:
        return self.carrier(request.url).stream(request, timeouts)

    def start(self, request: HttpRequest, timeouts: Timeouts, resume: Resume) -> Started | None:
        """See `AsyncTransport`. None where the carrier knows tasks only."""
        start: Callable[..., Started | None] | None = getattr(self.carrier(request.url), "start", None)
        return None if start is None else start(request, timeouts, resume)

    async def aclose(self) -> None:
        await asyncio.gather(*(transport.aclose() for transport in set(self._ready.values())))

    def carrier(self, url: str) -> AsyncTransport:
        """The transport that carries this URL."""
        scheme = url.partition(":")[0]
        found = self._ready.get(scheme)
        if found is None:
            found = self._ready[scheme] = _builder(_ASYNC, scheme)(lambda: self.carrier("http:"))
            if scheme == "https":
                self._ready.setdefault("http", found)
        return found


def _http(_: Any) -> Any:
    from dragoman.transport.http import HttpTransport  # noqa: PLC0415 - httpx2 is imported when the first request is made

    return HttpTransport()


def _http_async(_: Any) -> Any:
    from dragoman.transport.http_async import HttpAsyncTransport  # noqa: PLC0415 - as above

    return HttpAsyncTransport()


def _demo(_: Any) -> Any:
    from dragoman.transport.demo import DemoTransport  # noqa: PLC0415 - only who asks for it pays for it

    return DemoTransport()


def _demo_async(_: Any) -> Any:
    from dragoman.transport.demo import AsyncDemoTransport  # noqa: PLC0415 - as above

    return AsyncDemoTransport()


def _custom(_: Any) -> Any:
    from dragoman.transport.custom import CustomTransport  # noqa: PLC0415 - as above

    return CustomTransport()


def _custom_async(_: Any) -> Any:
    from dragoman.transport.custom import AsyncCustomTransport  # noqa: PLC0415 - as above

    return AsyncCustomTransport()


def _local(http: Callable[[], Any]) -> Any:
    from dragoman.transport.local import LocalTransport  # noqa: PLC0415 - as above

    return LocalTransport(http())


def _local_async(http: Callable[[], Any]) -> Any:
    from dragoman.transport.local import AsyncLocalTransport  # noqa: PLC0415 - as above

    return AsyncLocalTransport(http())


Builder = Callable[[Callable[[], Any]], Any]
_SYNC: dict[str, Builder] = {"http": _http, "https": _http, "demo": _demo, "local": _local, "custom": _custom}
_ASYNC: dict[str, Builder] = {
    "http": _http_async,
    "https": _http_async,
    "demo": _demo_async,
    "local": _local_async,
    "custom": _custom_async,
}


def _builder(builders: dict[str, Builder], scheme: str) -> Builder:
    if scheme not in builders:
        raise ConfigurationError(f"no transport for the URL scheme {scheme!r}; there are: {', '.join(sorted(builders))}")
    return builders[scheme]
