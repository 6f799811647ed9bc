"""Merges what the sources state into records, and keeps a list of every disagreement. Used by catalog_seed.py.

The rule, kind of rate by kind of rate: where both price sources state the same, or only one states anything, that is taken.
Where they differ, model-prices is taken where it read the provider's own page ("documented" or "first observed"), and where
genai-prices knows the model only by a rule for its family (a dated snapshot is no family); else genai-prices, whose data are
the newer. What is paid for by the piece (`catalog_pieces`) fills in where nobody states a price of tokens; of what another
states too it is only compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from catalog_sources import Curve, Facts

CHAT = {"text"}
TOKENS = {"input", "output"}
SAME = 1000
"""A part of a rate so small is a matter of rounding."""
IMAGE_MODEL = re.compile(r"image|nano-banana")
"""Of such a model model-prices states the price of the images it makes where others state that of its text."""

DATED = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2})$")
NO_PREFILL = re.compile(r"claude-(opus-4-[6-9]|sonnet-4-[6-9]|[a-z]+-[5-9])")
NO_SYSTEM = re.compile(r"^(o1-mini|o1-preview|gemma-)")
SINGLE_TOOL = re.compile(r"^o[1-9]($|-)")
"""OpenAI's o-series refuses parallel_tool_calls."""
PARALLEL = frozenset("openai anthropic gemini mistral xai cohere".split())
PREFILL = frozenset("anthropic mistral deepseek".split())
WEB = re.compile(r"^sonar")

KIND_BY_NAME = (
    (re.compile("rerank"), "rerank"),
    (re.compile("embed|(^|/)(bge|gte|voyage)-|text-similarity"), "embedding"),
    (re.compile("moderation"), "moderation"),
    (re.compile(r"(^|[-/])(tts|orpheus)([-/]|$)"), "speech"),
    (re.compile("whisper|transcri"), "transcription"),
    (re.compile(r"(^|[-/])ocr([-/]|$)"), "ocr"),
    (re.compile("gpt-image|dall-e|imagen|flux|stable-"), "image"),
    (re.compile("sora|veo-"), "video"),
)


@dataclass(frozen=True)
class Disagreement:
    """One rate that the sources state differently; curves are (above tokens, nano-dollars per million units), () for none."""

    provider: str
    model: str
    mode: str
    kind: str
    genai: Curve
    model_prices: Curve
    taken: str
    by_the_piece: Curve = ()


@dataclass
class Merged:
    records: dict[str, dict[str, dict[str, Any]]]
    disagreements: list[Disagreement]
    compared: int = 0


def merge(
    ours: dict[str, dict[str, Facts]],
    theirs: dict[str, dict[str, Facts]],
    profiles: dict[str, dict[str, dict[str, Any]]],
    dates: tuple[str, str, str],
    pieces: dict[str, dict[str, Facts]],
) -> Merged:
    """`ours` is genai-prices, `theirs` model-prices; `dates` the day of each source in the order of the arguments."""
    merged = Merged({}, [])
    for provider in sorted(ours.keys() | theirs.keys() | profiles.keys() | pieces.keys()):
        known, other, described = ours.get(provider, {}), theirs.get(provider, {}), profiles.get(provider, {})
        rows = merged.records.setdefault(provider, {})
        third = pieces.get(provider, {})
        for name in sorted({*known, *other, *third, *map(_plain_name, described)}):
            first = known.get(name) or _family(known, name)
            second = other.get(name)
            profile = _profile(described, name, first)
            record = _prices(merged, provider, name, first, second)
            _describe(record, (provider, name), first, second, profile)
            _sources(record, first, second, profile, dates)
            if name in third:
                _by_the_piece(merged, (provider, name, "standard"), record, third[name])
            rows[name] = {key: value for key, value in record.items() if value not in (None, {}, [], "")}
    return merged


def _plain_name(name: str) -> str:
    return name.removeprefix("accounts/fireworks/models/")


def _family(known: dict[str, Facts], name: str) -> Facts | None:
    """The first entry whose rule covers the name. A deprecation and further names of a family are not those of each member."""
    for of, facts in known.items():
        if facts.matches(name):
            exact = DATED.sub("", name) == DATED.sub("", of)
            window, hours = facts.context_window, facts.peak_hours
            return Facts(modes=facts.modes, context_window=window, peak_hours=hours, documented=exact)
    return None


def _profile(described: dict[str, dict[str, Any]], name: str, facts: Facts | None) -> dict[str, Any]:
    bare = name.partition(":")[0]
    for candidate in (name, f"accounts/fireworks/models/{name}", bare):
        if candidate in described:
            return described[candidate]
    if facts and facts.matches:
        return next((profile for other, profile in described.items() if facts.matches(other)), {})
    return {}


# --------------------------------------------------------------------------------------------------------------- prices
def _prices(merged: Merged, provider: str, name: str, first: Facts | None, second: Facts | None) -> dict[str, Any]:
    modes = {}
    left = first.modes if first else {}
    right = second.modes if second else {}
    better = bool(second and (second.documented or (first and not first.documented and first.matches is None)))
    for mode in sorted({*left, *right}):
        rates = _rates(merged, (provider, name, mode), left.get(mode, {}), right.get(mode, {}), theirs=better)
        modes[mode] = _tariff(rates)
    return {
        "price": modes.pop("standard", {}),
        "modes": {mode: tariff for mode, tariff in modes.items() if tariff},
        "peak_hours": [list(span) for span in first.peak_hours] if first else [],
    }


def _rates(
    merged: Merged, place: tuple[str, str, str], left: dict[str, Curve], right: dict[str, Curve], *, theirs: bool
) -> dict[str, Curve]:
    if "output_image" in left and IMAGE_MODEL.search(place[1]) and "output" in right:
        right = {**right, "output_image": right["output"]}
        del right["output"]
    rates = {}
    for kind in sorted({*left, *right}):
        one, other = left.get(kind), right.get(kind)
        merged.compared += bool(one and other)
        if one and other and one != other:
            taken = "model-prices" if theirs else "genai-prices"
            merged.disagreements.append(Disagreement(*place, kind, one, other, taken))
            rates[kind] = other if theirs else one
        else:
            rates[kind] = one or other or ()
    return rates


def _by_the_piece(merged: Merged, place: tuple[str, str, str], record: dict[str, Any], third: Facts) -> None:
    rates = record["price"].setdefault("rates", {})
    if TOKENS & rates.keys():
        return
    if not rates:
        record["kind"] = third.kind
        record.pop("abilities", None)
    for kind, curve in third.modes["standard"].items():
        stated = rates.setdefault(kind, curve[0][1])
        merged.compared += stated is not curve[0][1]
        if abs(stated - curve[0][1]) * SAME > stated:
            merged.disagreements.append(Disagreement(*place, kind, ((0, stated),), (), "genai-prices", curve))
    record["names"] = [*record.get("names", ()), *third.names]
    record["source"] = "+".join(filter(None, [record["source"], third.source]))
    record["as_of"] = min(filter(None, [record["as_of"], third.as_of]))


def _tariff(rates: dict[str, Curve]) -> dict[str, Any]:
    """Curves as a price list: the rates from 0, and for each threshold the rates that change there."""
    tariff: dict[str, Any] = {"rates": {kind: curve[0][1] for kind, curve in rates.items()}} if rates else {}
    above = sorted({start for curve in rates.values() for start, _ in curve[1:]})
    steps = [
        {"above": start, "rates": {kind: dict(curve)[start] for kind, curve in rates.items() if start in dict(curve)}}
        for start in above
    ]
    return tariff | ({"steps": steps} if steps else {})


# ---------------------------------------------------------------------------------------------------------- description
def _describe(
    record: dict[str, Any], place: tuple[str, str], first: Facts | None, second: Facts | None, profile: dict[str, Any]
) -> None:
    provider, name = place
    inputs = [kind for kind in ("text", "image", "audio", "video", "pdf") if profile.get(f"{kind}_inputs")]
    outputs = [kind for kind in ("text", "image", "audio", "video") if profile.get(f"{kind}_outputs")]
    record["kind"] = _kind(name, outputs, record["price"].get("rates", {}))
    record["context_window"] = profile.get("max_input_tokens") or (first.context_window if first else None)
    record["max_output"] = profile.get("max_output_tokens") or None
    record["inputs"], record["outputs"] = inputs, outputs
    record["abilities"] = _abilities(provider, name, profile, record) if record["kind"] == "chat" else {}
    record["names"] = first.names if first else []
    status = "yes" if profile.get("status") == "deprecated" else None
    record["deprecated"] = (first and first.deprecated) or (second and second.deprecated) or status
    if record["kind"] == "chat":
        del record["kind"]


def _kind(name: str, outputs: list[str], rates: dict[str, int]) -> str:
    for pattern, kind in KIND_BY_NAME:
        if pattern.search(name.lower()):
            return kind
    if outputs and "text" not in outputs:
        return {"image": "image", "audio": "speech", "video": "video"}[outputs[0]]
    units = {"page": "ocr", "character": "speech"}
    return next((kind for unit, kind in units.items() if unit in rates), "chat")


def _abilities(provider: str, name: str, profile: dict[str, Any], record: dict[str, Any]) -> dict[str, bool]:
    rates = record["price"].get("rates", {})
    found = {}
    for ours, theirs in (
        ("tools", "tool_calling"),
        ("tool_choice", "tool_choice"),
        ("structured_output", "structured_output"),
        ("reasoning", "reasoning_output"),
    ):
        if theirs in profile:
            found[ours] = bool(profile[theirs])
    if found.get("tools"):
        found.setdefault("tool_choice", True)
    if provider in PARALLEL and "tools" in found:
        found["parallel_tools"] = found["tools"] and not SINGLE_TOOL.search(name)
    if rates:
        found["prompt_cache"] = "cache_read" in rates
    if "web_search" in rates or WEB.search(name):
        found["web_search"] = True
    if provider in PREFILL:
        found["prefill"] = not NO_PREFILL.search(name)
    found["system_messages"] = not NO_SYSTEM.search(name)
    return found


def _sources(
    record: dict[str, Any], first: Facts | None, second: Facts | None, profile: dict[str, Any], dates: tuple[str, str, str]
) -> None:
    """The record's date is the oldest of its sources: on that day all of it was said."""
    said = [(bool(first), "genai-prices"), (bool(second), "model-prices"), (bool(profile), "profiles")]
    record["source"] = "+".join(name for there, name in said if there)
    record["as_of"] = min((day for (there, _), day in zip(said, dates, strict=True) if there), default="")
