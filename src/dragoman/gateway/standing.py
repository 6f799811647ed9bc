"""Who stands where in the router's queue: tenants take turns, and a priority goes before a larger one. Called by the pipeline.

    metadata: {priority: 10}       of a key, its team or its organisation: set by an admin, the narrowest holds
    x-dragoman-priority: 200       of a request; x-litellm-priority is the same. It may step back, never forward

The tenant is the team of a key, else the key; without governance it is the request's `user`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dragoman.core.errors import BadRequestError
from dragoman.gateway.subject import at
from dragoman.router.queue import QueuePolicy

if TYPE_CHECKING:
    from dragoman.gateway.exchange import Exchange
    from dragoman.gateway.governance.identity import Identity

PRIORITY = "priority"
_HEADERS = (b"x-dragoman-priority", b"x-litellm-priority")


def standing(queue: QueuePolicy, exchange: Exchange, who: Identity | None) -> dict[str, Any]:
    """Fields of the router's RequestFacts; none where nobody waits. Raises BadRequestError that names the header."""
    if not queue.max_wait:
        return {}
    asked = [_whole(name, value) for name in _HEADERS if (value := exchange.header(name)) is not None]
    if who is None:
        return {PRIORITY: max(queue.priority, *asked, 0)}
    return {PRIORITY: max(_told(who, queue.priority), *asked, 0), "tenant": who.key.team or who.key.id}


def _told(who: Identity, usual: int) -> int:
    named = (scope.metadata.get(PRIORITY) for scope in reversed(who.scopes))
    return next((number for number in named if type(number) is int and number >= 0), usual)


def _whole(name: bytes, value: bytes) -> int:
    text = value.decode("latin-1").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        message = f"{name.decode()}: expected a whole number from 0, found {text[:40]!r}"
        raise BadRequestError(message, detail=at(name.decode()), attempts=0)
    return int(text)


_DIGITS = 9
