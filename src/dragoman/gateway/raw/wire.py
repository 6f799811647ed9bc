"""Requests and answers that are passed on: which headers, which address, and never a credential too many. Pure.

The client's key stays here and the provider's stays there: neither goes across, in a header, a query or a body.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl, unquote, urlencode

from dragoman.core.errors import BadRequestError
from dragoman.core.http import Headers
from dragoman.providers.base import Target, credential_headers

_CREDENTIALS = frozenset(
    """
    api-key authorization cookie proxy-authorization x-api-key x-goog-api-key x-key xi-api-key ws-secret x-litellm-api-key
    """.split()
)
_OF_THIS_CONNECTION = frozenset(
    """
    accept-encoding connection content-length expect host keep-alive proxy-authenticate proxy-connection te trailer
    transfer-encoding upgrade
    """.split()
)
_OF_THE_SERVER = frozenset({"alt-svc", "content-encoding", "date", "server", "set-cookie", "strict-transport-security"})
_OURS = ("x-dragoman-", "x-litellm-", "x-forwarded-", "forwarded", "x-real-ip")
_SHORTEST_SECRET = 8
_VERSION = re.compile(r"/v\d+[a-z0-9]*$")
_PLAIN = re.compile(r"[\x21-\x7e]*")


def root(base_url: str) -> str:
    """What stands before the version in a base URL, so that a client's path may name its own."""
    return _VERSION.sub("", base_url)


def address(target: Target, path: str, query: str, shown: str) -> str:
    """Where a request of this path goes: below the provider's root and nowhere else. Raises BadRequestError.

    `shown`: the client's own key, which is taken out of the query.
    """
    decoded = unquote(path)
    if not _PLAIN.fullmatch(path) or "\\" in decoded or "//" in decoded or {".", ".."} & set(decoded.split("/")):
        raise BadRequestError("the path: expected one without . and .. and empty segments", attempts=0)
    url = root(target.base_url) + path
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = [
        (name, value) for name, value in pairs if name not in {"key", "api_key", "api-key"} and (not shown or value != shown)
    ]
    if len(kept) < len(pairs):
        query = urlencode(kept)
    return f"{url}?{query}" if query else url


def forwarded(headers: Iterable[tuple[bytes, bytes]], target: Target, shown: str) -> Headers:
    """The client's headers as the provider gets them, with its credential."""
    own = (*target.provider.headers, *target.headers, *credential_headers(target))
    replaced = _CREDENTIALS | _OF_THIS_CONNECTION | {name for name, _ in own} | set(target.provider.header_variables.values())
    pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    return (
        *(
            (name, value)
            for name, value in pairs
            if name not in replaced and not name.startswith(_OURS) and not _in(shown, value)
        ),
        *own,
    )


def returned(headers: Headers, secrets: tuple[bytes, ...]) -> list[tuple[bytes, bytes]]:
    """The provider's headers as the client gets them."""
    left_out = _OF_THIS_CONNECTION | _OF_THE_SERVER
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers if name not in left_out]
    return [(name, value) for name, value in pairs if not any(secret in value for secret in secrets)]


def secrets_of(headers: Headers) -> tuple[bytes, ...]:
    """The credentials that a request carries."""
    values = [value.split(" ")[-1] for name, value in headers if name in _CREDENTIALS]
    return tuple(value.encode("latin-1") for value in values if len(value) >= _SHORTEST_SECRET)


def _in(shown: str, value: str) -> bool:
    return len(shown) >= _SHORTEST_SECRET and shown in value


class Scrubber:
    """Bytes on their way to the client without the provider's credential, however they are cut."""

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        self._secrets = secrets
        self._held = b""

    def feed(self, piece: bytes, *, last: bool = False) -> bytes:
        data = self._held + piece
        for secret in self._secrets:
            data = data.replace(secret, b"[key]")
        keep = 0 if last else max((_begun(data, secret) for secret in self._secrets), default=0)
        cut = len(data) - keep
        self._held = data[cut:]
        return data[:cut]


def _begun(data: bytes, secret: bytes) -> int:
    """How many of the last bytes may be the beginning of the secret."""
    for size in range(min(len(secret) - 1, len(data)), 0, -1):
        if data.endswith(secret[:size]):
            return size
    return 0
