"""Writes src/dragoman/catalog/models.json and docs/price-disagreements.md from the installed price packages.

    python tools/catalog_seed.py [--profiles FOLDER] [--today YYYY-MM-DD]

FOLDER holds wheels of the langchain packages with model profiles (`pip download --no-deps langchain-openai ...`); without it,
what the present file says of sizes, modalities and abilities is kept. `catalog_pieces.py` renews what is paid for by the piece.
Run it, look at the difference, commit it.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import catalog_merge
import catalog_pieces
import catalog_sources

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "src" / "dragoman" / "catalog" / "models.json"
PROFILES = ROOT / "tools" / "catalog_profiles.json"
PAGE = ROOT / "docs" / "price-disagreements.md"
USED = """
max_input_tokens max_output_tokens text_inputs image_inputs audio_inputs video_inputs pdf_inputs text_outputs image_outputs
audio_outputs video_outputs tool_calling tool_choice structured_output reasoning_output status
""".split()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--profiles", type=Path)
    options.add_argument("--today", type=date.fromisoformat, default=datetime.now(tz=UTC).date())
    given = options.parse_args()
    if given.profiles:
        keep_profiles(given.profiles, given.today)
    merged, sources = build(given.today)
    DATA.write_text(written(merged.records, sources), encoding="utf-8")
    PAGE.write_text(page(merged, sources), encoding="utf-8")
    rows = sum(map(len, merged.records.values()))
    sys.stdout.write(f"{rows} records, {merged.compared} rates compared, {len(merged.disagreements)} disagreements\n")


def keep_profiles(folder: Path, today: date) -> None:
    """The facts of the profiles that are used, kept beside this tool, so that the catalog can be made again without them."""
    found, made_of = catalog_sources.profiles(folder)
    kept = {
        provider: {
            name: {key: profile[key] for key in USED if profile.get(key) is not None} for name, profile in models.items()
        }
        for provider, models in found.items()
    }
    lines = {provider: _lines(models) for provider, models in sorted(kept.items())}
    head = json.dumps({"as_of": today.isoformat(), "sources": made_of})
    body = ",\n".join(f"{json.dumps(provider)}: {{\n{text}\n}}" for provider, text in lines.items())
    PROFILES.write_text(f'{head[:-1]}, "profiles": {{\n{body}\n}}}}\n', encoding="utf-8")


def build(today: date) -> tuple[catalog_merge.Merged, dict[str, str]]:
    """The records that the installed packages make, and the versions of all that went in."""
    kept = json.loads(PROFILES.read_text(encoding="utf-8"))
    ours = catalog_sources.genai_facts(today)
    theirs, seen = catalog_sources.model_prices_facts(today)
    dates = (catalog_sources.genai_newest(today), seen, kept["as_of"])
    pieces, read = catalog_pieces.kept()
    merged = catalog_merge.merge(ours, theirs, kept["profiles"], dates, pieces)
    return merged, {"made": today.isoformat(), **catalog_sources.versions(), **read, **kept["sources"]}


def written(records: dict[str, dict[str, dict[str, Any]]], sources: dict[str, str]) -> str:
    """One line a record, so that a change of price reads as one."""
    providers = ",\n".join(f"{json.dumps(name)}: {{\n{_lines(models)}\n}}" for name, models in records.items() if models)
    return f'{{"sources": {json.dumps(sources)},\n"models": {{\n{providers}\n}}}}\n'


def _lines(models: dict[str, dict[str, Any]]) -> str:
    rows = (f"{json.dumps(name)}:{json.dumps(record, separators=(',', ':'))}" for name, record in sorted(models.items()))
    return ",\n".join(rows)


def page(merged: catalog_merge.Merged, sources: dict[str, str]) -> str:
    head = f"""# Where the price sources disagree

Written by `tools/catalog_seed.py` on {sources["made"]} from genai-prices {sources["genai-prices"]} and model-prices
{sources["model-prices"]}, and from LiteLLM's price map as litellm {sources["litellm"]} and tokencost {sources["tokencost"]}
hold it: {merged.compared} rates that two of them state, {len(merged.disagreements)} of them differently.

The rule: what both state, or only one, is taken. Where they differ, model-prices is taken where it read the provider's own
page and where genai-prices knows the model only by a rule for its family; else genai-prices, whose data are the newer.
Of LiteLLM's map only what is paid for by the piece is read (images, seconds, characters), and taken where nobody else has it.
USD per million units; `>` is a threshold of prompt tokens.

| provider | model | list | rate | genai-prices | model-prices | LiteLLM's map | taken |
|---|---|---|---|---|---|---|---|
"""
    rows = (
        f"| {row.provider} | {row.model} | {row.mode} | {row.kind} | {dollars(row.genai)} | {dollars(row.model_prices)} "
        f"| {dollars(row.by_the_piece)} | {row.taken} |\n"
        for row in merged.disagreements
    )
    return head + "".join(rows)


def dollars(curve: catalog_sources.Curve) -> str:
    return ", ".join(f"{f'>{above}: ' if above else ''}{rate / 1e9:.10g}" for above, rate in curve)


if __name__ == "__main__":
    main()
