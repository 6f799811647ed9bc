"""The gateway's transport: our own client where it reaches, httpx2 where it does not (a proxy from the environment)."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from dragoman.core.http import HttpRequest, HttpResponse, Timeouts
from dragoman.transport.base import AsyncByteStream, AsyncTransport
from dragoman.transport.by_scheme import AsyncSchemeTransport
from dragoman.transport.fast import FastTransport, wants_httpx


def gateway_transport(env: Mapping[str, str]) -> AsyncTransport:
    """One for the process; its connection pools belong to the running loop."""
    fast = FastTransport()
    scheme = AsyncSchemeTransport({"http": fast, "https": fast})
    if any(wants_httpx(url, env) for url in ("http://upstream.invalid", "https://upstream.invalid")):
        return ProxyAwareTransport(scheme, env)
    return scheme


class ProxyAwareTransport:
    """Decides for each URL, for environments that name a proxy (and hosts that go around it)."""

    def __init__(self, direct: AsyncTransport, env: Mapping[str, str]) -> None:
        self._direct = direct
        self._through = AsyncSchemeTransport()
        self._env = env

    def send(self, request: HttpRequest, timeouts: Timeouts) -> Coroutine[Any, Any, HttpResponse]:
        return self._for(request.url).send(request, timeouts)

    def stream(self, request: HttpRequest, timeouts: Timeouts) -> Coroutine[Any, Any, AsyncByteStream]:
        return self._for(request.url).stream(request, timeouts)

    async def aclose(self) -> None:
        await self._direct.aclose()
        await self._through.aclose()

    def _for(self, url: str) -> AsyncTransport:
        return self._through if wants_httpx(url, self._env) else self._direct
