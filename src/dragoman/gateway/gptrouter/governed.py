"""A call of this face before the gateway's governance: every candidate's model must be allowed, and the labels that
clients send (tag, user, app, conversation, the prompt that was run) are what its ledger writes down.

Governance reads a path and headers of a request; it is given them in one spelling, with the labels where no header says
otherwise. Called by whatever makes a call here, after its candidates are known and before anybody is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from dragoman.dialects.gptrouter.requests import Labels
from dragoman.engine.call import Call
from dragoman.gateway.admission import END_USER, TAGS
from dragoman.gateway.exchange import Exchange
from dragoman.gateway.gptrouter.face import Face
from dragoman.gateway.subject import SESSION

if TYPE_CHECKING:
    from dragoman.gateway.governance.identity import Identity

_BASE = b"/api/v1/"


class Said(NamedTuple):
    """Who asks, and what the request says of itself: its id, the groups of all its candidates, its labels."""

    who: Identity | None
    identity: bytes
    groups: Iterable[str]
    labels: Labels = Labels()


async def admit(face: Face, exchange: Exchange, call: Call, said: Said) -> None:
    """Raises the errors of governance; then nothing is held and nobody was asked."""
    told = _Told(exchange, said.labels)
    if said.who is not None:
        for group in dict.fromkeys(said.groups):
            said.who.check_call(group, call.operation, told.path.decode("latin-1"))
    await face.pipeline.admit(said.who, call, cast("Exchange", told), said.identity)


class _Told:
    """An exchange as those who watch calls read it: `exchange`, but for what is said here."""

    def __init__(self, exchange: Exchange, labels: Labels) -> None:
        self.path = _BASE + exchange.path.rpartition(_BASE)[2]
        self.exchange = exchange
        self._said = {TAGS: ",".join(tags(labels)), END_USER: labels.user, SESSION: labels.history}

    def header(self, name: bytes) -> bytes | None:
        return self.exchange.header(name) or self._said.get(name, "").encode("latin-1", "backslashreplace") or None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.exchange, name)


def tags(labels: Labels) -> list[str]:
    """What the books group calls by."""
    found: list[Any] = [labels.tag, labels.app and f"app:{labels.app}", *(f"prompt:{name}" for name in labels.prompt)]
    given = labels.metadata.get("tags")
    found += given if isinstance(given, list) else [given]
    return [tag.replace(",", " ") for tag in found if isinstance(tag, str) and tag]
