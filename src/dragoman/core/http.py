"""HTTP as plain data. Nothing here opens a connection: a transport does, a test double need not."""

from __future__ import annotations

from msgspec import Struct

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, in order, repeats allowed."""


def header(headers: Headers, name: str) -> str | None:
    """The first value of a header, by its lower-case name."""
    for key, value in headers:
        if key == name:
            return value
    return None


class Timeouts(Struct, frozen=True, kw_only=True):
    """Four deadlines of one attempt, in seconds; None means "wait for ever".

    `connect`: until the connection (with TLS) stands. `first_token`: from the request being sent until the first byte of
    the body (the whole body, when not streaming). `idle`: between two reads of a stream. `total`: the attempt as a whole.
    """

    connect: float | None = 10.0
    first_token: float | None = 600.0
    idle: float | None = 300.0
    total: float | None = None


class HttpRequest(Struct, frozen=True, kw_only=True):
    """What is sent upstream. The headers may hold a credential, so the repr shows their names only."""

    method: str
    url: str
    headers: Headers = ()
    body: bytes = b""

    def __repr__(self) -> str:
        names = ", ".join(name for name, _ in self.headers)
        return f"HttpRequest({self.method} {self.url}, headers: {names}; {len(self.body)} bytes)"


class ResponseHead(Struct, frozen=True, kw_only=True):
    status: int
    headers: Headers = ()


class HttpResponse(Struct, frozen=True, kw_only=True):
    status: int
    headers: Headers = ()
    body: bytes = b""


class TransportFailure(Exception):  # noqa: N818 - an outcome that a transport raises, turned into an error by the engine
    """The exchange did not come to a response. `sent` tells whether the provider may have acted. `kind` is one of:

    connect, connect_timeout: no connection. first_token, idle, total: that deadline passed. closed: the peer closed or reset
    (before the response head, or inside the body). protocol: what came is not HTTP. too_large: over the size limit.
    """

    def __init__(self, kind: str, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.sent = sent
