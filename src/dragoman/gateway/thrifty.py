"""A call whose model is another than the one that was asked for, because a budget is nearly spent: never without telling.

The client learns it from `x-dragoman-stand-in` and `x-dragoman-warnings`, the ledger keeps both names. Called by the pipeline
for keys with such terms, before guardrails and cache look at the call. Who may not ask for the dear model is refused as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman.core.chat import Warning
from dragoman.gateway.governance.ledger import plain

if TYPE_CHECKING:
    from dragoman.engine.call import Call
    from dragoman.gateway.exchange import Exchange
    from dragoman.gateway.governance.identity import Identity
    from dragoman.gateway.pipeline import Pipeline
    from dragoman.gateway.subject import Asked, Subject

HEADER = b"x-dragoman-stand-in"


def served(pipeline: Pipeline, who: Identity, call: Call, subject: Subject, exchange: Exchange) -> Call:
    """The call as it was asked, or the same of a cheaper model. Raises PermissionDeniedError."""
    found = pipeline.admission.stand_in(who, call, exchange) if pipeline.admission else None
    if found is None:
        return call
    dear, cheap = call.model, found.model
    if pipeline.policy.find(cheap) is None:
        call.note(_warning(f"{found.reason}, so {cheap} was to be asked, which is not served here; tell the admin"))
        return call

    def instead(exchange: Exchange) -> Asked:
        return subject(exchange)._replace(model=cheap)

    made = pipeline.call(call.operation, call.dialect, instead, exchange, who)
    made.asked = dear
    made.headers += ((HEADER, plain(f"{cheap} for {dear}").encode("ascii", "backslashreplace")),)
    made.note(_warning(f"{found.reason}, so {cheap} was asked in place of {dear}"))
    return made


def _warning(message: str) -> Warning:
    return Warning(field="model", message=message, code="changed")
