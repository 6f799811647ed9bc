"""Counters and histograms that cost a dictionary look-up: names, bounds, and lists of numbers. No library, no lock, no I/O.

A table holds for each set of label values a list: of a counter one number, of a histogram the count of each bucket and last the
sum. Tables of several workers are added up; `exposition` writes them as Prometheus wants them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

Labels = tuple[str, ...]
Values = dict[Labels, list[float]]
Tables = dict[str, Values]
"""Name -> values. What is exchanged between workers."""


class Family(Struct, frozen=True, kw_only=True):
    """`name` without the `_total` of counters. `bounds`: of a histogram, the upper ones, without infinity."""

    name: str
    help: str
    labels: Labels = ()
    kind: Literal["counter", "gauge", "histogram"] = "counter"
    bounds: tuple[float, ...] = ()


class Counter:
    def __init__(self, family: Family) -> None:
        self.family = family
        self.values: Values = {}

    def add(self, labels: Labels, amount: float = 1.0) -> None:
        cell = self.values.get(labels)
        if cell is None:
            self.values[labels] = [amount]
        else:
            cell[0] += amount


class Histogram:
    def __init__(self, family: Family) -> None:
        self.family = family
        self.values: Values = {}
        self._bounds = family.bounds

    def observe(self, labels: Labels, value: float) -> None:
        cell = self.values.get(labels)
        if cell is None:
            cell = self.values[labels] = [0.0] * (len(self._bounds) + 2)
        cell[bisect_left(self._bounds, value)] += 1.0
        cell[-1] += value


def added(tables: Iterable[Mapping[str, Values]]) -> Tables:
    """The sums of what several workers have counted. Lists of different lengths are of different versions: the first counts."""
    total: Tables = {}
    for table in tables:
        for name, values in table.items():
            held = total.setdefault(name, {})
            for labels, numbers in values.items():
                known = held.get(labels)
                if known is None:
                    held[labels] = list(numbers)
                elif len(known) == len(numbers):
                    held[labels] = [one + other for one, other in zip(known, numbers, strict=True)]
    return total
