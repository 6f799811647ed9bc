"""Ids of files and batches that know where they are and whose: signed, so that no table has to. Pure.

`file-`, `batch_` or `msgbatch_`, and after it the signature with what is signed: the provider, its own id, the model group that
a batch is for, and what its lines may cost. The owner is signed too, but not written: an id in other hands is no id.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Literal, NamedTuple

from dragoman.core.errors import NotFoundError

_SIZE = 16
Kind = Literal["file", "batch", "message_batch"]
PREFIXES: dict[Kind, str] = {"file": "file-", "batch": "batch_", "message_batch": "msgbatch_"}


class Known(NamedTuple):
    """`group`: the public name of the model that a batch is for. `nano`: nano-dollars to hold for its lines, if known."""

    provider: str
    id: str
    group: str = ""
    nano: int | None = None


class Ids:
    """`secret` is the gateway's."""

    def __init__(self, secret: bytes) -> None:
        self._secret = hmac.digest(secret, b"dragoman file ids", "sha256")

    def written(self, kind: Kind, known: Known, owner: str) -> str:
        held = "\0".join([known.provider, known.id, known.group, "" if known.nano is None else str(known.nano)]).encode()
        return PREFIXES[kind] + urlsafe_b64encode(self._signed(kind, held, owner) + held).rstrip(b"=").decode()

    def read(self, kind: Kind, written: str, owner: str) -> Known:
        """Raises NotFoundError for whatever this gateway has not given to this owner."""
        text = written.removeprefix(PREFIXES[kind])
        try:
            whole = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            signature, held = whole[:_SIZE], whole[_SIZE:]
            if not hmac.compare_digest(signature, self._signed(kind, held, owner)):
                raise ValueError
            provider, own, group, nano = held.decode().split("\0")
        except ValueError:
            raise NotFoundError(f"no {kind} is called {written[:120]!r}, or it is not yours", attempts=0) from None
        return Known(provider, own, group, int(nano) if nano else None)

    def mark(self, owner: str) -> str:
        """What stands at the provider for the owner, so that lists can be told apart."""
        return hmac.digest(self._secret, f"owner\0{owner}".encode(), "sha256").hex()[:20]

    def _signed(self, kind: str, held: bytes, owner: str) -> bytes:
        return hmac.digest(self._secret, b"\0".join([kind.encode(), owner.encode(), held]), "sha256")[:_SIZE]
