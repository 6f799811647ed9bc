"""Usage and a record -> what it cost, in integer nano-dollars, line by line. Pure arithmetic on integers, rounded once.

A line is quantity times rate, exact: the rate is nano-dollars per million units, so the product counts femto-dollars
(10^-15 USD). Only the total is rounded, half up. What has no price is not free: the cost is then None, with the reason.
Tokens of a kind without a rate of its own cost what the wider kind costs, which the notes tell. Nothing here looks names up
or reads a clock. Clients and whoever keeps a ledger call `cost`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any

from dragoman.catalog.records import Model, Tariff
from dragoman.core.chat import Usage, Value

PER_MILLION = 1_000_000
NANO = 1_000_000_000

WIDER = {
    "cache_read": "input",
    "cache_write": "input",
    "cache_write_1h": "cache_write",
    "input_audio": "input",
    "input_image": "input",
    "reasoning": "output",
    "output_audio": "output",
    "output_image": "output",
}
"""Kind -> the kind whose rate holds where it has none. Images of a size or quality without one ("image hd") are `image`."""

TIERS = {
    "auto": "",
    "default": "",
    "standard": "",
    "standard_only": "",
    "on_demand": "",
    "scale": "",
    "batch": "batch",
    "flex": "flex",
    "priority": "priority",
    "fast": "fast",
}
"""What providers call their service tiers in requests and answers -> our mode ("" is the usual price)."""

FREE = frozenset({"local", "demo"})
"""Providers that run inside this process: they cost nothing."""


class Line(Value, frozen=True, kw_only=True):
    """`quantity` units of a `kind` at `rate` nano-dollars per million; `femto_dollars` is exactly their product."""

    kind: str
    quantity: int | float
    rate: int

    @property
    def femto_dollars(self) -> int | Fraction:
        return self.quantity * self.rate if isinstance(self.quantity, int) else Fraction(str(self.quantity)) * self.rate

    @property
    def dollars(self) -> float:
        """For people; sums are made of `femto_dollars`."""
        return float(self.femto_dollars / 10**15)


class Cost(Value, frozen=True, kw_only=True):
    """`nano_dollars` is None where there is no price, and `reason` says why. `notes` tell what was assumed."""

    nano_dollars: int | None = None
    lines: tuple[Line, ...] = ()
    reason: str = ""
    notes: tuple[str, ...] = ()

    @property
    def dollars(self) -> float | None:
        """The same in USD, as people and LiteLLM's programs read it."""
        return None if self.nano_dollars is None else self.nano_dollars / NANO


class _NoRateError(LookupError):
    """A kind of tokens has no price in the record."""


def cost(
    model: Model,
    usage: Usage | None = None,
    *,
    service_tier: str | None = None,
    batch: bool = False,
    units: Mapping[str, int | float] | None = None,
    minute: int | None = None,
) -> Cost:
    """What a call cost.

    `service_tier` is the provider's word from the answer, else from the request; `units` counts what is no token (image or
    "image hd 1024x1792", second, character, page, query); `minute` of the UTC day chooses between peak and other hours where
    a provider has them.
    """
    if model.provider in FREE and not model.priced:
        return Cost(nano_dollars=0, reason=f"{model.provider} runs inside this process")
    if not model.priced:
        return Cost(reason=f"no price is known for {model.provider}/{model.name}")
    used = usage or Usage()
    chosen = "batch" if batch else TIERS.get(service_tier, service_tier) if service_tier else ""
    if chosen and chosen not in model.modes:
        return Cost(reason=f"no price is known for {model.provider}/{model.name} in the tier {chosen!r}")
    bill = _Bill(model, chosen or _happened(model, used, minute), used.input_tokens)
    try:
        lines = tuple(bill.lines(used, units or {}))
    except _NoRateError as missing:
        return Cost(reason=f"no price is known for {missing} of {model.provider}/{model.name}")
    return Cost(nano_dollars=_rounded(lines), lines=lines, notes=tuple(bill.notes))


def _rounded(lines: tuple[Line, ...]) -> int:
    """Half up: no amount here is below 0."""
    return int((2 * sum(line.femto_dollars for line in lines) + PER_MILLION) // (2 * PER_MILLION))


def _happened(model: Model, usage: Usage, minute: int | None) -> str:
    """The price list that nobody chose: thinking, or peak hours."""
    if usage.reasoning_tokens and "thinking" in model.modes:
        return "thinking"
    peak = minute is not None and any(_within(minute, span) for span in model.peak_hours)
    return "peak" if peak else ""


def _within(minute: int, span: tuple[int, int]) -> bool:
    begin, end = span
    return begin <= minute < end if begin <= end else minute >= begin or minute < end


class _Bill:
    """One call being priced: the lists that hold for it, and what had to be assumed."""

    def __init__(self, model: Model, mode: str, prompt: int) -> None:
        self._lists = [tariff for tariff in (model.modes.get(mode), model.price) if tariff is not None]
        self._prompt = prompt
        self.notes: list[str] = []

    def lines(self, usage: Usage, units: Mapping[str, int | float]) -> Iterator[Line]:
        for kind, quantity in (*_split(usage), *units.items()):
            if quantity:
                yield Line(kind=kind, quantity=quantity, rate=self._rate(kind))
        searches, rate = usage.web_search_requests, self._listed("web_search")
        if searches and rate is not None:
            yield Line(kind="web_search", quantity=searches, rate=rate)
        elif searches:
            self.notes.append("no price is known for web searches, which are left out")
        if (rate := self._listed("call")) is not None:
            yield Line(kind="call", quantity=1, rate=rate)

    def _rate(self, asked: str) -> int:
        kind = asked
        while (rate := self._listed(kind)) is None:
            wider = WIDER.get(kind, kind.partition(" ")[0])
            if wider == kind:
                raise _NoRateError(asked.replace("_", " "))
            kind = wider
        if asked not in {kind, "reasoning"} and (" " not in asked or self._sorted(kind)):
            self.notes.append(f"{asked} has no rate of its own and costs what {kind} costs")
        return rate

    def _sorted(self, kind: str) -> bool:
        """Whether it has prices by size or quality."""
        return any(listed.startswith(f"{kind} ") for tariff in self._lists for listed in tariff.rates)

    def _listed(self, kind: str) -> int | None:
        """The rate in the list of the mode, else in the usual one."""
        for tariff in self._lists:
            if kind in tariff.rates:
                return _stepped(tariff, kind, self._prompt)
        return None


def _split(usage: Usage) -> list[tuple[str, int]]:
    """The tokens in kinds that do not overlap. A share that would not fit (cached audio) is counted as cached."""
    long = min(usage.cache_write_1h_tokens, usage.cache_write_tokens)
    into = _shares(
        usage.input_tokens,
        (
            ("cache_read", usage.cache_read_tokens),
            ("cache_write", usage.cache_write_tokens - long),
            ("cache_write_1h", long),
            ("input_audio", usage.input_audio_tokens),
            ("input_image", usage.input_image_tokens),
            ("input", usage.input_tokens),
        ),
    )
    return into + _shares(
        usage.output_tokens,
        (
            ("reasoning", usage.reasoning_tokens),
            ("output_audio", usage.output_audio_tokens),
            ("output_image", usage.output_image_tokens),
            ("output", usage.output_tokens),
        ),
    )


def _shares(total: int, kinds: tuple[tuple[str, int], ...]) -> list[tuple[str, int]]:
    """Of each kind that there is, what is left for it; the last one takes the rest."""
    found = []
    for kind, tokens in kinds:
        if tokens > 0 and total > 0:
            share = min(tokens, total)
            total -= share
            found.append((kind, share))
    return found


def _stepped(tariff: Tariff, kind: str, prompt: int) -> int:
    """The rate above the highest threshold that the prompt passes."""
    rate = tariff.rates[kind]
    for step in tariff.steps:
        if prompt > step.above:
            rate = step.rates.get(kind, rate)
    return rate


def minute_of_day(unix: Any) -> int | None:
    """The minute of the UTC day at this Unix time in seconds, which decides on peak prices; None for what is no time."""
    return int(unix) // 60 % 1440 if isinstance(unix, int | float) else None
