"""`_hidden_params` of an answer, in which the cost is worked out when somebody first reads it: most programs never do.

`response_cost` is USD, or None where there is no price; `cost` the same as a `catalog.cost.Cost`, line by line or with the
reason. The catalog is loaded then, and not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dragoman.catalog.cost import Cost
    from dragoman.core.chat import Usage
    from dragoman.engine.call import Shares
    from dragoman.engine.pieces import Units

_COST = frozenset({"cost", "response_cost"})


class Hidden(dict[str, Any]):
    """A dict of what is known at once; `price` makes the rest."""

    def __init__(self, fields: dict[str, Any], price: Callable[[], Cost]) -> None:
        super().__init__(fields)
        self._price = price

    def __missing__(self, key: str) -> Any:
        if key not in _COST:
            raise KeyError(key)
        self["cost"] = made = self._price()
        self["response_cost"] = made.dollars
        return self[key]

    def __contains__(self, key: object) -> bool:
        return key in _COST or super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in _COST else super().get(key, default)

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy or a pickle is a plain dict with the cost in it."""
        return dict, ({**self, "response_cost": self["response_cost"]},)


def pricer(shares: Shares, usage: Usage | None, made: Mapping[str, Any], units: Units) -> Callable[[], Cost]:
    """What works out the cost of `made`, an answer or the last chunk of one; `shares`: who gave it, `units`: its `pieces`."""
    tier, created = made.get("service_tier"), made.get("created")

    def price() -> Cost:
        from dragoman.catalog.cost import Cost, minute_of_day  # noqa: PLC0415 - the catalog is loaded by the first that asks
        from dragoman.engine.price import bill  # noqa: PLC0415 - as above

        found = bill(shares, usage, service_tier=tier, minute=minute_of_day(created), units=units)
        return Cost(reason="the answer tells of no usage") if usage is None and not found.lines and not found.reason else found

    return price


def free() -> Cost:
    """Of an answer that was kept."""
    from dragoman.catalog.cost import Cost  # noqa: PLC0415 - as above

    return Cost(nano_dollars=0)
