"""Cheaper models in place of dear ones, from where on a budget is nearly spent. Pure: what is spent is an argument.

A scope's terms hold for the budgets of that scope; of several scopes the narrowest one that wants it decides. A stand-in has no
stand-in of its own. Whoever asks must be allowed both models, so nothing is won by it but thrift. Asked by `identity`;
`gateway.thrifty` makes the other call and tells the client.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, NamedTuple

from msgspec import Meta, Struct

_Name = Annotated[str, Meta(min_length=1, max_length=256)]


class Thrift(Struct, frozen=True, kw_only=True):
    """`models`: the name of a model or a glob -> who is asked in its place; a name goes before globs, of which the first that
    fits counts. `percent` of a budget must be spent or held.
    """

    models: dict[str, str]
    percent: int = 80

    def stand_in(self, model: str) -> str | None:
        """Who is asked in place of this model; None: the model itself."""
        found = self.models.get(model) or next((to for glob, to in self.models.items() if fnmatchcase(model, glob)), None)
        return None if found == model else found

    def wanted(self, taken: int, limit: int) -> bool:
        """Whether so much is spent and held that it is time for it. Nano-dollars."""
        return taken * 100 >= limit * self.percent


class CheaperModels(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """As a configuration and the admin API say it. `at`: the share of a budget, in hundredths, from which on it holds."""

    models: Annotated[dict[_Name, _Name], Meta(min_length=1)]
    at: Annotated[float, Meta(gt=0, le=1)] = 0.8

    def thrift(self) -> Thrift:
        return Thrift(models=self.models, percent=max(1, round(self.at * 100)))


class StandIn(NamedTuple):
    """`model` is to be asked, for this `reason`."""

    model: str
    reason: str
