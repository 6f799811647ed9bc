"""Provider, model and usage -> what the call cost: `lookup` and `cost` in one step, for the ledger, the router and the SDK.

Without a record the cost is None and the reason says what to do. What was assumed on the way to the record stands first among
the notes.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dragoman.catalog import lookup
from dragoman.catalog.cost import FREE, Cost, cost
from dragoman.catalog.lookup import Found
from dragoman.catalog.records import Model
from dragoman.core.chat import Usage


def bill(provider: str, model: str, usage: Usage | None, **how: Any) -> Cost:
    """What a call of `model` at `provider` cost, by this process's catalog. `how` as for `cost.cost`."""
    if provider in FREE:
        return cost(Model(provider=provider, name=model), usage)
    return bill_found(lookup.current().find(model, provider), f"{provider}/{model}", usage, **how)


def bill_found(found: Found | None, name: str, usage: Usage | None, **how: Any) -> Cost:
    """The same for a record that was looked up; `name` is what was asked for."""
    if found is None:
        return Cost(reason=f"nothing is known of the model {name!r}: tell its price with dragoman.register_model")
    made = cost(found.model, usage, **how)
    return replace(made, notes=(found.note, *made.notes)) if found.note else made
