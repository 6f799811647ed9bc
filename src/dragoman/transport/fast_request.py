"""A request as the bytes of an HTTP/1.1 head, and where those bytes go. Pure; used by `fast`, and its checks by all transports.

It refuses what could smuggle a second request or a header into the first: control characters in URLs and header values,
names that are no tokens, and framing headers of the caller's own (framing belongs to the transport).
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from dragoman.core.http import Headers

_PORTS = {"http": 80, "https": 443}
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FORBIDDEN_IN_URL = re.compile(r"[\x00-\x20\x7f]")
_FRAMING = frozenset({"content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"})
_SAFE_IN_TARGET = "%/?:@!$&'()*+,;=-._~[]{}|^`\"<>\\"


class Origin(NamedTuple):
    """Where connections lead to. `host` is as the resolver wants it: no brackets around an IPv6 address."""

    tls: bool
    host: str
    port: int


class RequestHead(NamedTuple):
    """`start` is the whole head up to the number that content-length will have."""

    origin: Origin
    start: bytes


def encode_head(method: str, url: str, headers: Headers) -> RequestHead:
    """Raises ValueError, which names what is wrong but never the value of a header."""
    origin, target, authority = split_url(url)
    check_headers(headers)
    if not _TOKEN.fullmatch(method) or method.upper() in ("HEAD", "CONNECT"):
        raise ValueError(f"method {method!r}: this transport sends ordinary requests that may have a body in the answer")
    given = {name.lower() for name, _ in headers}
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in given:
        lines.append(f"host: {authority}")
    if "accept-encoding" not in given:
        lines.append("accept-encoding: identity")
    lines += [f"{name}: {value}" for name, value in headers]
    lines.append("content-length: ")
    return RequestHead(origin, "\r\n".join(lines).encode("latin-1"))


def check_headers(headers: Headers) -> None:
    """Raises ValueError for a header that must not be sent."""
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"header name {name!r}: not a token of letters, digits and hyphens")
        if name.lower() in _FRAMING:
            raise ValueError(f"header {name!r}: the transport sets it itself; leave it out")
        if _FORBIDDEN_IN_VALUE.search(value):
            raise ValueError(f"header {name!r}: its value holds a control character (a line break?); remove it")
        if not value.isascii() and max(value) > "\xff":
            raise ValueError(f"header {name!r}: its value holds a character beyond latin-1; encode it first")


def check_url(url: str) -> None:
    """Raises ValueError for characters that would end the request line."""
    if _FORBIDDEN_IN_URL.search(url):
        raise ValueError("url: holds a space or a control character; percent-encode it")


def split_url(url: str) -> tuple[Origin, str, str]:
    """Origin, request target and the value of the host header. Raises ValueError; the message holds no credentials."""
    check_url(url)
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(f"url: expected http://host/... or https://host/..., found scheme {parts.scheme!r}")
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"url: credentials before {parts.hostname!r} are not sent; use an authorization header")
    host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode("ascii")
    port = _PORTS[parts.scheme] if parts.port is None else parts.port
    target = quote(parts.path or "/", safe=_SAFE_IN_TARGET)
    if parts.query:
        target += "?" + quote(parts.query, safe=_SAFE_IN_TARGET)
    name = f"[{host}]" if ":" in host else host
    authority = name if port == _PORTS[parts.scheme] else f"{name}:{port}"
    return Origin(parts.scheme == "https", host, port), target, authority
