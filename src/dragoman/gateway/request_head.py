"""Request heads and what is wrong with them, as plain functions over what the parser found. `protocol` is the only caller."""

from __future__ import annotations

import httptools

from dragoman.core.errors import DragomanError
from dragoman.gateway.exchange import Headers
from dragoman.gateway.serving import logger, refusal


class Refused(Exception):  # noqa: N818 - carries an error out of the parser's callback
    """The request is not taken, and nothing that comes after it on the connection."""

    def __init__(self, error: DragomanError) -> None:
        self.error = error


def reason(problem: httptools.HttpParserError) -> DragomanError:
    """What to tell the client. The parser wraps whatever a callback raises."""
    cause = problem.__context__
    if isinstance(cause, Refused):
        return cause.error
    if cause is None or isinstance(cause, httptools.HttpParserError):
        return refusal(400, f"The request is not valid HTTP: {cause or problem}.")
    logger.error("The gateway failed while reading a request", exc_info=cause)
    return refusal(500, "The gateway failed while reading the request. Its log has the reason.")


def split_target(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a request target, undecoded. Raises HttpParserInvalidURLError."""
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
        return path, query
    url = httptools.parse_url(target)  # the absolute form
    if url.path is None:
        raise httptools.HttpParserInvalidURLError("the request target has no path")
    return url.path, url.query or b""


def head_size(target: bytes, headers: Headers) -> int:
    """Bytes of a head on the wire, but for the method and the version."""
    return len(target) + sum([len(name) + len(value) + len(b": \r\n") for name, value in headers])


def without_upgrade(parser: httptools.HttpRequestParser, target: bytes, headers: Headers) -> bytes:
    """The head as a client would have sent it that offers no other protocol."""
    request_line = b"%b %b HTTP/%b\r\n" % (parser.get_method(), target, parser.get_http_version().encode())
    kept = [b"%b: %b\r\n" % header for header in headers if header[0] != b"upgrade"]
    return b"".join((request_line, *kept, b"\r\n"))


def body_too_large(limit: int) -> DragomanError:
    return refusal(413, f"The request's body is larger than the {limit} bytes that are allowed here.")


def head_too_large(limit: int) -> DragomanError:
    return refusal(431, f"The request's headers, or its trailers, are larger than the {limit} bytes that are allowed here.")


def too_many_headers(limit: int) -> DragomanError:
    return refusal(431, f"The request has more than the {limit} headers that are allowed here.")
