"""Reads what is paid for by the piece out of LiteLLM's price map: images by quality and size, seconds and characters of speech,
queries of rerankers.

    python tools/catalog_pieces.py WHEEL...

Neither of the packages that `catalog_seed.py` reads states such prices. The wheels (`pip download --no-deps litellm tokencost`)
hold the map as plain data, under the MIT licence; an earlier one goes before a later one. Names and numbers are taken, never
text, and kept in catalog_pieces.json, so that the catalog can be made again without them.
"""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from catalog_sources import Facts

KEPT = Path(__file__).with_suffix(".json")

PROVIDERS = {
    "fal_ai": "fal",
    "vertex_ai-image-models": "vertex_ai",
    **{
        name: name
        for name in (
            "azure_ai black_forest_labs cloudflare cohere deepgram elevenlabs gemini meta minimax mistral openai recraft "
            "stability vertex_ai xai"
        ).split()
    },
}
MODES = {
    "image_generation": "image",
    "image_edit": "image",
    "audio_speech": "speech",
    "audio_transcription": "transcription",
    "rerank": "rerank",
}
PIXELS = "input_cost_per_pixel"
KINDS = {
    "output_cost_per_image": "image",
    "input_cost_per_image": "image",
    PIXELS: "image",
    "input_cost_per_second": "second",
    "output_cost_per_second": "second",
    "input_cost_per_character": "character",
    "input_cost_per_query": "query",
}
NAMES = {("stability", "stable-image-core"): ["core"], ("stability", "stable-image-ultra"): ["ultra"]}
"""What our provider's API calls them."""

_NAME = re.compile(r"(?:(?P<quality>[a-z]+)/)?(?:(?P<width>\d+)-x-(?P<height>\d+)/)(?P<model>.+)")
USUAL_QUALITY, USUAL_SIZE = "standard", "1024x1024"
"""What a request gets that names neither."""
FEMTO, MILLS = 10**15, Decimal("0.001")


def main() -> None:
    prices: dict[str, dict[str, dict[str, Any]]] = {}
    sources = {}
    for wheel in map(Path, sys.argv[1:]):
        package, number, *_ = wheel.name.split("-")
        sources[package] = number
        day, entries = _entries(wheel)
        for (provider, name), found in _models(entries).items():
            kept = {"source": package, "as_of": day.isoformat(), **found}
            prices.setdefault(provider, {}).setdefault(name, kept)
    KEPT.write_text(_written(sources, prices), encoding="utf-8")


def _entries(wheel: Path) -> tuple[date, dict[str, Any]]:
    """The map in the wheel, and the day on which it was packed."""
    packed = zipfile.ZipFile(wheel)
    info = next(one for one in packed.infolist() if re.search(r"/model_prices\w*\.json$", one.filename))
    return date(*info.date_time[:3]), json.loads(packed.read(info), parse_float=Decimal)


def _models(entries: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    unread = set()
    for name, fields in entries.items():
        provider, kind = PROVIDERS.get(fields.get("litellm_provider")), MODES.get(fields.get("mode"))
        if provider is None or kind is None:
            continue
        bare = name.removeprefix(f"{fields['litellm_provider'].removesuffix('-image-models')}/")
        quality, size, model = _parts(bare)
        rates = _rates(fields, size)
        if rates is None:
            unread.add((provider, model))
        elif rates:
            variant = " ".join(word for word in (quality, size) if word)
            listed = found.setdefault((provider, model), {"kind": kind, "rates": {}})["rates"]
            listed |= {f"{unit} {variant}" if variant else unit: rate for unit, rate in rates.items()}
    return {
        place: {**held, "rates": _with_usual(held["rates"]), **({"names": NAMES[place]} if place in NAMES else {})}
        for place, held in found.items()
        if place not in unread
    }


def _parts(name: str) -> tuple[str, str, str]:
    """("hd", "1024x1792", "dall-e-3") of "hd/1024-x-1792/dall-e-3"."""
    found = _NAME.fullmatch(name)
    return (found["quality"] or "", f"{found['width']}x{found['height']}", found["model"]) if found else ("", "", name)


def _rates(fields: dict[str, Any], size: str) -> dict[str, int] | None:
    """Nothing of what is paid for in tokens; None where a price is not understood: better none than a wrong one."""
    prices = {field: Decimal(value) for field, value in fields.items() if "cost" in field and isinstance(value, int | Decimal)}
    prices = {field: price for field, price in prices.items() if price}
    if any("token" in field for field in prices):
        return {}
    if not prices.keys() <= KINDS.keys():
        return None
    rates: dict[str, int] = {}
    for field, price in prices.items():
        each = _of_pixels(price, size) if field == PIXELS else price
        rates[KINDS[field]] = max(rates.get(KINDS[field], 0), int(each * FEMTO))
    return rates


def _of_pixels(price: Decimal, size: str) -> Decimal:
    """The map divides the price of an image by its pixels; vendors state it in tenths of a cent."""
    width, _, height = size.partition("x")
    return (price * int(width or 0) * int(height or 0)).quantize(MILLS)


def _with_usual(rates: dict[str, int]) -> dict[str, int]:
    """Of images that are listed by quality and size only: also what a request costs that does not say what is usual."""
    if "image" in rates:
        return dict(sorted(rates.items()))
    found = {
        " ".join(word for word in kind.split(" ") if word not in left_out): rate
        for left_out in ((), (USUAL_QUALITY,), (USUAL_SIZE,), (USUAL_QUALITY, USUAL_SIZE))
        for kind, rate in rates.items()
    }
    return dict(sorted(found.items()))


def _written(sources: dict[str, str], prices: dict[str, dict[str, dict[str, Any]]]) -> str:
    """One line a model."""
    providers = []
    for provider, models in sorted(prices.items()):
        rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(held)}" for name, held in sorted(models.items()))
        providers.append(f"{json.dumps(provider)}: {{\n{rows}\n}}")
    body = ",\n".join(providers)
    return f'{{"sources": {json.dumps(sources)}, "prices": {{\n{body}\n}}}}\n'


def kept() -> tuple[dict[str, dict[str, Facts]], dict[str, str]]:
    """By provider and model, what is kept; and package -> version."""
    held = json.loads(KEPT.read_text(encoding="utf-8"))
    return {provider: dict(_facts(models)) for provider, models in held["prices"].items()}, held["sources"]


def _facts(models: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Facts]]:
    for name, one in models.items():
        rates = {kind: ((0, rate),) for kind, rate in one["rates"].items()}
        yield (
            name,
            Facts(
                modes={"standard": rates},
                names=one.get("names", []),
                kind=one["kind"],
                source=one["source"],
                as_of=one["as_of"],
            ),
        )


if __name__ == "__main__":
    main()
