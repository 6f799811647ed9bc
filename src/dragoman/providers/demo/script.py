"""A script: everything that happens on the wire in answer to one request, as plain data with its timing.

Nothing here waits or sends. `Refusal` is how the readers of this package say that a request cannot be answered.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from msgspec import Struct

from dragoman.core.http import Headers, ResponseHead

MARK: Headers = (("x-dragoman-demo", "true"),)
"""On every answer."""


class Piece(NamedTuple):
    """Bytes of the body, sent `delay` seconds after what went before."""

    delay: float
    data: bytes


class Script(Struct, frozen=True, kw_only=True):
    """`delay` seconds after the request comes the head, then the pieces, then the end.

    `end`: done; cut (the connection is closed though the body is not complete); stall (silence for ever, connection open).
    Without a head nothing comes at all: a stall is a server that never answers, a cut one that refuses the connection.
    """

    head: ResponseHead | None
    delay: float = 0.0
    pieces: tuple[Piece, ...] = ()
    end: Literal["done", "cut", "stall"] = "done"

    @property
    def streaming(self) -> bool:
        """Whether the body has no length that is known beforehand."""
        return self.head is not None and all(name != "content-length" for name, _ in self.head.headers)


class Refusal(Exception):  # noqa: N818 - not a failure of ours: an answer, on its way to be written in the caller's dialect
    """An HTTP error answer. `param` is the field at fault; `code` OpenAI's code."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code


def whole(status: int, body: bytes, *, headers: Headers = (), delay: float = 0.0) -> Script:
    """An answer whose JSON body comes in one piece with its head."""
    fixed = (("content-type", "application/json"), ("content-length", str(len(body))), *MARK)
    return Script(head=ResponseHead(status=status, headers=fixed + headers), delay=delay, pieces=(Piece(0.0, body),))


def streamed(pieces: tuple[Piece, ...], *, headers: Headers = (), delay: float = 0.0) -> Script:
    """An event stream."""
    fixed = (("content-type", "text/event-stream; charset=utf-8"), ("cache-control", "no-cache"), *MARK)
    return Script(head=ResponseHead(status=200, headers=fixed + headers), delay=delay, pieces=pieces)
