"""Counted numbers as Prometheus reads them, by its own library, which is loaded when the first scrape comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder

from dragoman.gateway.observing.families import COUNTED, CURRENT
from dragoman.gateway.observing.series import Family, Tables, Values

_KINDS = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily}


def written(tables: Tables, accept: str) -> tuple[bytes, str]:
    """The text and its content type: the one that was asked for by an Accept header."""
    encode, media_type = choose_encoder(accept)
    return encode(_Collected(tables)), media_type


class _Collected:
    """What the library's writers take for a registry."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def collect(self) -> Iterator[Any]:
        for family in (*COUNTED, *CURRENT):
            yield _family(family, self._tables.get(family.name, {}))


def _family(family: Family, values: Values) -> Any:
    if family.kind == "histogram":
        return _histogram(family, values)
    made = _KINDS[family.kind](family.name, family.help, labels=family.labels)
    for labels, (value,) in sorted(values.items()):
        made.add_metric(labels, value)
    return made


def _histogram(family: Family, values: Values) -> Any:
    made = HistogramMetricFamily(family.name, family.help, labels=family.labels)
    names = [*map(_bound, family.bounds), "+Inf"]
    for labels, numbers in sorted(values.items()):
        buckets: Iterable[float] = accumulate(numbers[:-1])
        made.add_metric(labels, buckets=list(zip(names, buckets, strict=True)), sum_value=numbers[-1])
    return made


def _bound(value: float) -> str:
    return repr(float(value))
