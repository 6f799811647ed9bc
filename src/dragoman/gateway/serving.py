"""What both servers share, our protocol under uvicorn and the plain ASGI app: routes, limits, and how a handler is run.

It refuses to know sockets and ASGI. `protocol` and `asgi_exchange` call it; whoever builds the route table imports
`Route` and `Limits` from here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from dragoman.core import json
from dragoman.core.errors import STATUS_CLASSES, DragomanError, GatewayError
from dragoman.gateway.exchange import Exchange, Handler, Headers

logger = logging.getLogger("dragoman.gateway")

JSON_HEADERS: Headers = [(b"content-type", b"application/json")]


class Limits(Struct, frozen=True, kw_only=True):
    """What one client may ask of us. Sizes in bytes, times in seconds.

    `max_header_bytes`: request line and headers together; also any other run of bytes without a byte of body in it (trailers,
    chunk extensions). `max_body_bytes`: of one request, decoded from chunks. `head_timeout`: from the connection, or from
    the first byte of a later head, until the head is complete. `body_timeout`: between two reads of a body.
    `write_timeout`: without the client taking anything of what waits for it.
    """

    max_header_bytes: int = 64 * 1024
    max_header_count: int = 128
    max_body_bytes: int = 32 * 1024 * 1024
    head_timeout: float = 15.0
    body_timeout: float = 30.0
    write_timeout: float = 60.0


def encode_plain_error(error: DragomanError) -> bytes:
    """The error body where no dialect is known, because the request never named a route of ours."""
    return json.encode({"error": {"message": error.message, "type": error.type, "code": None, "param": None}})


class Route(NamedTuple):
    """`encode_error` gives the body of an error answer in the dialect of the route."""

    handler: Handler
    encode_error: Callable[[DragomanError], bytes] = encode_plain_error


Routes = Mapping[tuple[str, bytes], Route]
"""(method, path as it comes on the wire) -> Route. The match is exact, without percent-decoding; a path that ends in `*` is the
beginning of all it stands for.
"""


class RouteTable:
    """`Routes` as servers look things up in them: the exact paths at the cost of one dict access."""

    def __init__(self, routes: Routes) -> None:
        self.exact = {(method.encode(), path): route for (method, path), route in routes.items() if not path.endswith(b"*")}
        patterns = [(method, path, route) for (method, path), route in routes.items() if path.endswith(b"*")]
        self._prefixes = [(method.encode(), path[:-1], route) for method, path, route in patterns]

    def find(self, method: bytes, path: bytes) -> Route | None:
        """The route of a path without its query."""
        found = self.exact.get((method, path))
        if found is None:
            for known, prefix, route in self._prefixes:
                if known == method and path.startswith(prefix):
                    return route
        return found


def refusal(status: int, message: str) -> DragomanError:
    """The error that says why a request was not taken."""
    error = STATUS_CLASSES.get(status, GatewayError)(message)
    error.status_code = status
    return error


def respond_error(exchange: Exchange, route: Route, error: DragomanError) -> None:
    exchange.respond(error.status_code, JSON_HEADERS, route.encode_error(error))


def begin(route: Route, exchange: Exchange) -> Coroutine[Any, Any, None] | None:
    """Run the handler. Whatever it does, the client gets one whole answer or a closed connection.

    What comes back is the rest of it, if there is one that wants a task. A failure is logged once, without body or headers of
    the request. It reaches the client as a 500 in its dialect when nothing was written yet.
    """
    try:
        rest = route.handler(exchange)
    except Exception as problem:  # noqa: BLE001 - the server goes on, whatever a handler does
        failed(route, exchange, problem)
        return None
    return None if rest is None else _finish(rest, route, exchange)


async def _finish(rest: Coroutine[Any, Any, None], route: Route, exchange: Exchange) -> None:
    try:
        await rest
        if not (exchange.response_complete or exchange.disconnected):
            logger.error("The handler of %s %s ended without finishing its answer", exchange.method, exchange.path.decode())
    except Exception as problem:  # noqa: BLE001 - as above
        failed(route, exchange, problem)
    finally:
        end_unanswered(route, exchange)


def failed(route: Route, exchange: Exchange, problem: BaseException) -> None:
    """The handler has failed in a way that nobody foresaw."""
    logger.error("The handler of %s %s failed", exchange.method, exchange.path.decode(), exc_info=problem)
    end_unanswered(route, exchange)


def end_unanswered(route: Route, exchange: Exchange) -> None:
    """The end of an answer that its handler has not brought to one."""
    if exchange.response_complete or exchange.disconnected:
        return
    if exchange.response_started:
        exchange.abort()
    else:
        respond_error(
            exchange, route, refusal(500, "The gateway failed on this request. Its log has the reason; try again later.")
        )
