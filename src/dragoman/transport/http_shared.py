"""What the two httpx2 transports share: building a request, naming failures, the deadlines of an answer. Opens nothing.

httpx2 carries what our own client does not: proxies from the environment, HTTP/2 where it is installed, unusual TLS.
Redirects are not followed and cookies not kept: a provider's answer is handed on as it came.
"""

from __future__ import annotations

import math
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2

from dragoman.core.http import Headers, HttpRequest, ResponseHead, Timeouts, TransportFailure
from dragoman.transport.content_coding import Inflater, inflater_for, without_coding
from dragoman.transport.fast_request import check_headers, split_url

END_GRACE = 0.05
"""Seconds that the end of a body may take after a complete answer before its connection is given up."""

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a whole answer that `send` takes, if not told otherwise."""

_REMEMBERED = 1024
"""Addresses, and headers of requests, that a client's requests are written with once."""

_KINDS: tuple[tuple[type[Exception], str, bool], ...] = (
    (httpx2.ConnectTimeout, "connect_timeout", False),
    (httpx2.PoolTimeout, "connect_timeout", False),
    (httpx2.ConnectError, "connect", False),
    (httpx2.ProxyError, "connect", False),
    (httpx2.RemoteProtocolError, "protocol", True),
)
"""httpx2's exception, our kind, whether the provider may have acted. Any other is `closed`."""

_PEER_LEFT = ("disconnected", "closed connection")
"""httpx2 reports a peer that closed early as a protocol error, in these words."""


class Deadlines:
    """When an answer is late. `whole`: its last byte must come by the first-token deadline. Times are the caller's clock."""

    def __init__(self, timeouts: Timeouts, began: float, *, whole: bool) -> None:
        self._whole = whole
        self._idle = math.inf if timeouts.idle is None else timeouts.idle
        self._total_at = math.inf if timeouts.total is None else began + timeouts.total
        self._first_at = math.inf if timeouts.first_token is None else began + timeouts.first_token
        self._started = False
        self._hurried = False

    def hurry(self, at: float) -> None:
        """Only the end of the body is still wanted, and by then."""
        self._hurried = True
        self._total_at = min(self._total_at, at)

    def piece_came(self) -> None:
        self._started = True

    def next(self, now: float) -> tuple[float, str]:
        """By when the next piece must have come, and the kind of failure if it has not."""
        limit, kind = (now + self._idle, "idle") if self._started and not self._whole else (self._first_at, "first_token")
        return (self._total_at, "end" if self._hurried else "total") if self._total_at < limit else (limit, kind)


def client_options(options: dict[str, Any]) -> dict[str, Any]:
    """How a client of ours is built, but for what `options` says otherwise."""
    return {
        "headers": {"accept-encoding": "identity"},
        "follow_redirects": False,
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        "limits": httpx2.Limits(max_connections=None, max_keepalive_connections=100, keepalive_expiry=60),
        **options,
    }


class Requests:
    """Writes requests as httpx2 wants them, for one of its clients. Addresses and headers come again and again: they are read
    and checked once.
    """

    def __init__(self, client: httpx2.Client | httpx2.AsyncClient) -> None:
        self._usual = client.headers.raw
        self._address = lru_cache(maxsize=_REMEMBERED)(_checked_url)
        self._headers = lru_cache(maxsize=_REMEMBERED)(self._checked_headers)

    def build(self, request: HttpRequest, timeouts: Timeouts, *, read: float | None) -> httpx2.Request:
        """`read` is its timeout for the head, in seconds. Raises ValueError for what must not be sent."""
        connect = finite(min(_or_infinite(timeouts.connect), _or_infinite(timeouts.total)))
        return httpx2.Request(
            request.method,
            self._address(request.url),
            headers=self._headers(request.headers),
            content=request.body,
            extensions={"timeout": {"connect": connect, "read": read, "write": None, "pool": connect}},
        )

    def _checked_headers(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        """The client's own, but for those that the request says otherwise, and the request's."""
        check_headers(headers)
        own = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        said = {name.lower() for name, _ in own}
        return [pair for pair in self._usual if pair[0].lower() not in said] + own


def _checked_url(url: str) -> httpx2.URL:
    split_url(url)
    try:
        return httpx2.URL(url)
    except httpx2.InvalidURL as problem:
        raise ValueError(f"url: {problem}") from None


def read_head(response: Any) -> tuple[ResponseHead, Inflater | None]:
    """The head, and what undoes the body's coding if it has one."""
    headers: Headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers.raw)
    inflater = inflater_for(headers)
    return ResponseHead(status=response.status_code, headers=headers if inflater is None else without_coding(headers)), inflater


def failure(error: httpx2.HTTPError, late: str) -> TransportFailure:
    """Our name for httpx2's error; `late` is the deadline that a read timeout stands for."""
    text = str(error) or type(error).__name__
    for kind_of_error, kind, sent in _KINDS:
        if isinstance(error, kind_of_error):
            left = kind == "protocol" and any(words in text for words in _PEER_LEFT)
            return TransportFailure("closed" if left else kind, text, sent=sent)
    if isinstance(error, httpx2.TimeoutException):
        return overdue(late)
    return TransportFailure("closed", text)


def overdue(kind: str) -> TransportFailure:
    return TransportFailure(kind, "the deadline passed before the next part of the answer came")


def too_large(limit: int) -> TransportFailure:
    return TransportFailure("too_large", f"the answer is larger than {limit} bytes")


def finite(seconds: float) -> float | None:
    """Seconds as httpx2 and asyncio want them: None for no limit. Never negative."""
    return None if seconds == math.inf else max(0.0, seconds)


def _or_infinite(seconds: float | None) -> float:
    return math.inf if seconds is None else seconds
