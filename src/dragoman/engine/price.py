"""What a call cost, by the terms of the deployment that answered it, or by the catalog. Pure; the catalog is loaded when used.

Whoever keeps a ledger, counts spending or writes traces asks here, so that all of them tell one price.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

from dragoman.catalog import lookup
from dragoman.catalog.bill import bill_found
from dragoman.catalog.cost import FREE, Cost
from dragoman.catalog.lookup import Found
from dragoman.catalog.records import Model, Tariff
from dragoman.core.chat import Usage
from dragoman.engine.call import Attempt, Call, Shares
from dragoman.engine.pieces import pieces
from dragoman.engine.usage import less
from dragoman.router.deployment import Deployment


def answering(call: Call) -> Attempt | None:
    """The attempt that has answered, else the last one that was made; None when there was none."""
    return call.attempts[-1] if call.attempts else None


def price(call: Call, usage: Usage | None, *, minute: int | None = None, service_tier: str | None = None) -> Cost | None:
    """What the call cost at the deployments that answered, each its part; None when none was asked, nothing for an answer that
    was kept. `minute`: of the UTC day. A batch is charged as one, or at the usual price of a model that has no other.
    """
    attempt = answering(call)
    if attempt is None:
        return Cost(nano_dollars=0) if call.kept else None
    if call.operation == "batch" and service_tier is None:
        cost = price(call, usage, minute=minute, service_tier="batch")
        if cost is not None and cost.nano_dollars is not None:
            return cost
    known: tuple[Attempt, Usage | None, str | None, Cost] | None = call.priced
    if known is not None and known[0] is attempt and known[1] is usage and known[2] == service_tier:
        return known[3]  # several watch one call
    units = pieces(call, usage)
    cost = bill(call.shares, usage, minute=minute, service_tier=service_tier, units=units)
    call.priced = (attempt, usage, service_tier, cost)
    return cost


def bill(
    shares: Shares, usage: Usage | None, *, minute: int | None, service_tier: str | None = None, units: Any = None
) -> Cost:
    """What an answer came to whose parts are `shares`, and which used `usage` in all. `units`: its `pieces`."""
    *others, (last, _) = shares
    left = reduce(less, [used for _, used in others], usage)
    cost = _bill(last, left, minute=minute, service_tier=service_tier, units=units)
    return reduce(_together, [_bill(place, used, minute=minute) for place, used in others], cost)


def _bill(place: Deployment, usage: Usage | None, **how: Any) -> Cost:
    return bill_found(record(place), f"{place.target.provider.name}/{place.target.model}", usage, **how)


def _together(other: Cost, one: Cost) -> Cost:
    """The sum; where one has no price there is none."""
    if one.nano_dollars is None or other.nano_dollars is None:
        return one if one.nano_dollars is None else other
    nano = one.nano_dollars + other.nano_dollars
    return Cost(nano_dollars=nano, lines=one.lines + other.lines, notes=tuple(dict.fromkeys(one.notes + other.notes)))


def record(deployment: Deployment) -> Found | None:
    """What is known of its model; a price in the configuration goes first."""
    terms, target = deployment.terms, deployment.target
    provider = target.provider.name
    if terms.input_rate is not None or terms.output_rate is not None:
        tariff = Tariff(rates={"input": terms.input_rate or 0, "output": terms.output_rate or 0})
        return Found(model=Model(provider=provider, name=target.model, price=tariff))
    if provider in FREE:
        return Found(model=Model(provider=provider, name=target.model))
    return lookup.current().find(target.model, provider)
