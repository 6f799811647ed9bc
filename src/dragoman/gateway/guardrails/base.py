"""What a guardrail is: it looks at the request before the call or beside it, at the answer after it, whole or as it streams.

A guard edits by returning another value, blocks by raising GuardrailRejectedError, and flags by a note on the call. Its terms
say when it is asked and what becomes of what it finds. Whoever writes one overrides what it has to say; the rest passes.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from dragoman.core.assemble import Assembly
from dragoman.core.chat import Warning
from dragoman.core.errors import GuardrailRejectedError
from dragoman.core.events import Event
from dragoman.core.unfold import unfold

if TYPE_CHECKING:
    from dragoman.engine.call import Call
    from dragoman.gateway.guardrails.services import Services

logger = logging.getLogger("dragoman.gateway")

Stage = Literal["before", "during", "after"]
Events = AsyncGenerator[list[Event], None]


class Terms(Struct, frozen=True, kw_only=True):
    """`models` are globs of the names that clients ask for, empty for all. `default`: holds for every request, asked for or
    not. `on_failure`: what a guard that cannot be asked comes to: closed refuses the request, open lets it pass, marked.
    """

    name: str
    stages: tuple[Stage, ...]
    action: Literal["block", "mask", "flag"] = "block"
    models: tuple[str, ...] = ()
    default: bool = True
    on_failure: Literal["closed", "open"] = "closed"


class Asked:
    """One call as guards see it: the `call`, whom they may ask, and where they leave their marks and warnings."""

    def __init__(self, call: Call, services: Services) -> None:
        self.call = call
        self.services = services
        self.warnings: list[Warning] = []

    async def asking(self, terms: Terms, where: str, work: Coroutine[Any, Any, Any], otherwise: Any) -> Any:
        """What a guard says of the request or the answer (`where`). One that cannot say anything refuses, or lets pass what it
        was shown.
        """
        try:
            return await work
        except GuardrailRejectedError:
            raise
        except Exception as problem:
            if terms.on_failure == "closed":
                raise undecided(terms, where, problem) from problem
            logger.warning("The guardrail %s could not decide: %s", terms.name, problem)
            self.mark(terms, "not checked")
            return otherwise

    def mark(self, terms: Terms, what: str) -> None:
        """Seen by the observers of the call, and by the client in x-dragoman-guardrails."""
        mark = f"{terms.name}: {what}"
        if mark not in self.call.marks:
            self.call.marks += (mark,)

    def changed(self, terms: Terms, field: str, what: str) -> None:
        self.mark(terms, f"masked {what}")
        self.warnings.append(Warning(field=field, message=f"the guardrail {terms.name} masked: {what}", code="changed"))


class Guard:
    """See the module. `terms` are those of its configuration; `asks`, the models of this gateway that it needs."""

    asks: tuple[str, ...] = ()

    def __init__(self, terms: Terms) -> None:
        self.terms = terms

    async def request(self, request: Any, asked: Asked, stage: Stage) -> Any:  # noqa: ARG002 - for those who look
        """The request that is to be made. Beside a call (`during`) nothing can be changed any more."""
        return request

    async def response(self, response: Any, asked: Asked) -> Any:  # noqa: ARG002 - as above
        """The answer that the client is to get."""
        return response

    async def stream(self, events: Events, asked: Asked) -> Events:
        """As `response`, of a streamed one: it is held until it is whole, unless a guard can do better."""
        held: list[Event] = []
        assembly = Assembly()
        async for batch in events:
            for event in batch:
                assembly.add(event)
            held += batch
        whole = assembly.response()
        made = await asked.asking(self.terms, "answer", self.response(whole, asked), whole)
        yield held if made is whole else list(unfold(made))

    def found(self, reason: str, where: str, asked: Asked) -> None:
        """Something was found that is not masked: it blocks, or leaves a mark."""
        if self.terms.action == "flag":
            asked.mark(self.terms, reason)
        else:
            raise rejected(self.terms, where, reason)


def rejected(terms: Terms, where: str, reason: str) -> GuardrailRejectedError:
    return GuardrailRejectedError(f"the guardrail {terms.name!r} rejected the {where}: {reason}")


def undecided(terms: Terms, where: str, problem: Exception) -> GuardrailRejectedError:
    """What a guard could not do is no fault of what it was shown."""
    logger.warning("The guardrail %s could not decide: %s: %s", terms.name, type(problem).__name__, problem)
    error = rejected(terms, where, "it cannot be checked at the moment; try again later")
    error.status_code = 503
    return error


def listed(kinds: Iterable[str]) -> str:
    """What was found, each kind once, in words."""
    return ", ".join(kind.replace("_", " ") for kind in dict.fromkeys(kinds))
