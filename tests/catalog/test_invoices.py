"""Golden invoices: usage as providers reported it, priced by the shipped catalog, against amounts worked out by hand.

The comment of a case is the arithmetic: tokens x USD per million tokens, which is micro-dollars. When a renewed catalog
changes a rate, the case that uses it fails here and is worked out again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.catalog.cost import Line, cost
from dragoman.catalog.lookup import Catalog
from dragoman.catalog.records import Model, Step, Tariff
from dragoman.core.chat import Usage
from dragoman.dialects import registry
from support.recordings import Entry, exchanges

CATALOG = Catalog()


def usage(input_tokens: int, output_tokens: int, **kinds: int) -> Usage:
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, **kinds)


CASES: list[tuple[str, Usage, dict[str, Any], int]] = [
    # anthropic: cache write of 5 minutes. 3 x 0.80 + 2091 x 1.00 + 127 x 4.00 = 2.4 + 2091 + 508 = 2601.4
    ("anthropic/claude-3-5-haiku-20241022", usage(2094, 127, cache_write_tokens=2091), {}, 2_601_400),
    # cache write of one hour. 3 x 3 + 4566 x 6 + 6 x 15 = 9 + 27396 + 90 = 27495
    (
        "anthropic/claude-sonnet-4-6",
        usage(4569, 6, cache_write_tokens=4566, cache_write_1h_tokens=4566),
        {"service_tier": "standard"},
        27_495_000,
    ),
    # above 200k, thinking, ten searches at 10 per thousand. 404500 x 6 + 943 x 22.5 + 10 x 10000 = 2427000 + 21217.5 + 100000
    ("anthropic/claude-sonnet-4-5", usage(404_500, 943, reasoning_tokens=261, web_search_requests=10), {}, 2_548_217_500),
    # a search. 11642 x 1 + 141 x 5 + 10000 = 22347
    ("anthropic/claude-haiku-4-5-20251001", usage(11_642, 141, web_search_requests=1), {}, 22_347_000),
    # a batch, which the answer itself tells. 19 x 0.5 + 4 x 2.5 = 19.5
    ("anthropic/claude-haiku-4-5-20251001", usage(19, 4), {"service_tier": "batch"}, 19_500),
    # openai: cache read. 57 x 2.5 + 3840 x 1.25 + 75 x 10 = 142.5 + 4800 + 750 = 5692.5
    ("openai/gpt-4o", usage(3897, 75, cache_read_tokens=3840), {"service_tier": "default"}, 5_692_500),
    # reasoning is within the output. 375 x 0.25 + 372 x 2 = 93.75 + 744 = 837.75
    ("openai/gpt-5-mini", usage(375, 372, reasoning_tokens=256), {}, 837_750),
    # audio in. 16 x 0.6 + 43 x 10 + 123 x 2.4 = 9.6 + 430 + 295.2 = 734.8
    ("openai/gpt-audio-mini", usage(59, 123, input_audio_tokens=43), {}, 734_800),
    # flex. 8 x 0.625 + 70 x 5 = 5 + 350
    ("openai/gpt-5", usage(8, 70), {"service_tier": "flex"}, 355_000),
    # priority. 8 x 2.5 + 70 x 20 = 20 + 1400
    ("openai/gpt-5", usage(8, 70), {"service_tier": "priority"}, 1_420_000),
    # a batch by its date's name. 36 x 0.025 + 224 x 0.2 = 0.9 + 44.8
    ("openai/gpt-5-nano-2025-08-07", usage(36, 224, reasoning_tokens=128), {"batch": True}, 45_700),
    # above 272k. 300000 x 5 + 1000 x 22.5 = 1500000 + 22500
    ("openai/gpt-5.4", usage(300_000, 1000), {}, 1_522_500_000),
    # azure, at openai's price. 378 x 0.05 + 2457 x 0.4 = 18.9 + 982.8
    ("azure/gpt-5-nano", usage(378, 2457, reasoning_tokens=2368), {}, 1_001_700),
    # gemini: audio and thoughts. 6 x 0.3 + 139 x 1 + 34 x 2.5 = 1.8 + 139 + 85 = 225.8
    ("gemini/gemini-2.5-flash", usage(145, 34, reasoning_tokens=24, input_audio_tokens=139), {}, 225_800),
    # cached content. 71 x 0.075 + 88759 x 0.01875 + 38 x 0.3 = 5.325 + 1664.23125 + 11.4 = 1680.95625, rounded once
    ("gemini/gemini-1.5-flash-002", usage(88_830, 38, cache_read_tokens=88_759), {}, 1_680_956),
    # vertex. 11 x 0.3 + 9602 x 0.03 + 72 x 2.5 = 3.3 + 288.06 + 180 = 471.36
    ("vertex_ai/gemini-2.5-flash", usage(9613, 72, cache_read_tokens=9602, reasoning_tokens=39), {}, 471_360),
    # bedrock, a region's price. 10 x 1.1 + 7351 x 0.11 + 4 x 5.5 = 11 + 808.61 + 22 = 841.61
    ("bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0", usage(7361, 4, cache_read_tokens=7351), {}, 841_610),
    # 4 x 3 + 1209 x 3.75 + 10 x 15 = 12 + 4533.75 + 150 = 4695.75
    ("bedrock/us.anthropic.claude-sonnet-4-20250514-v1:0", usage(1213, 10, cache_write_tokens=1209), {}, 4_695_750),
    # deepseek. 108 x 0.15 + 384 x 0.003 + 103 x 0.6 = 16.2 + 1.152 + 61.8 = 79.152; in peak hours twice that
    ("deepseek/deepseek-v4-flash", usage(492, 103, cache_read_tokens=384, reasoning_tokens=25), {"minute": 700}, 79_152),
    ("deepseek/deepseek-v4-flash", usage(492, 103, cache_read_tokens=384, reasoning_tokens=25), {"minute": 120}, 158_304),
    # xai, which billed 1724000 of its ticks (10^-10 USD). 284 x 0.2 + 152 x 0.05 + 216 x 0.5 = 56.8 + 7.6 + 108
    ("xai/grok-4-fast", usage(436, 216, cache_read_tokens=152, reasoning_tokens=148), {}, 172_400),
    # groq. 3 x 0.075 + 1792 x 0.0375 + 16 x 0.3 = 0.225 + 67.2 + 4.8
    ("groq/openai/gpt-oss-20b", usage(1795, 16, cache_read_tokens=1792, reasoning_tokens=14), {}, 72_225),
    # mistral. 27 x 0.15 + 32 x 0.015 + 9 x 0.6 = 4.05 + 0.48 + 5.4
    ("mistral/mistral-small-latest", usage(59, 9, cache_read_tokens=32), {}, 9_930),
    # avian, which billed 0.0001232 USD. 12 x 0.45 + 64 x 0.225 + 47 x 2.2 = 5.4 + 14.4 + 103.4
    ("avian/moonshotai/kimi-k2.5", usage(76, 47, cache_read_tokens=64), {}, 123_200),
    # dashscope, below and above 32k. 24 x 1.2 + 1355 x 6 = 28.8 + 8130; 40000 x 2.4 + 1355 x 12 = 96000 + 16260
    ("dashscope/qwen3-max", usage(24, 1355, reasoning_tokens=1084), {}, 8_158_800),
    ("dashscope/qwen3-max", usage(40_000, 1355), {}, 112_260_000),
    # cerebras has no rate for cached tokens: they cost what input costs. 100 x 0.35 + 37 x 0.75 = 35 + 27.75
    ("cerebras/gpt-oss-120b", usage(100, 37, cache_read_tokens=64, reasoning_tokens=25), {}, 62_750),
    # perplexity: a price for each call (12 per thousand). 1000 x 0.25 + 200 x 2.5 + 12000
    ("perplexity/sonar", usage(1000, 200), {}, 12_750_000),
    # reasoning has a rate of its own. 10 x 2 + 60 x 3 + 40 x 8 + 2 searches x 5000 = 20 + 180 + 320 + 10000
    ("perplexity/sonar-deep-research", usage(10, 100, reasoning_tokens=60, web_search_requests=2), {}, 10_520_000),
    # what is no token. 12.5 s x 100 (0.006 a minute); 1234 characters x 15; 3 pages x 4000; 1000 x 0.18
    ("openai/whisper-1", usage(0, 0), {"units": {"second": 12.5}}, 1_250_000),
    ("openai/tts-1", usage(0, 0), {"units": {"character": 1234}}, 18_510_000),
    ("mistral/mistral-ocr-latest", usage(0, 0), {"units": {"page": 3}}, 12_000_000),
    ("voyage/voyage-3-large", usage(1000, 0), {}, 180_000),
    # images at one price: 3 x 0.04, 2 x 0.03, 1 x 0.02; one second of speech at 0.0043 a minute, 60 x 0.00007167
    ("black_forest_labs/flux-pro-1.1", usage(0, 0), {"units": {"image 1024x768": 3}}, 120_000_000),
    ("stability/core", usage(0, 0), {"units": {"image": 2}}, 60_000_000),
    ("xai/grok-imagine-image", usage(0, 0), {"units": {"image": 1}}, 20_000_000),
    ("deepgram/nova-3", usage(0, 0), {"units": {"second": 60}}, 4_300_200),
    # images by quality and size: 2 x 0.04; 0.08 wide; 0.08 hd; 3 x 0.12 hd and tall; 0.018 small; 0.04; 0.006; 0.401
    ("openai/dall-e-3", usage(0, 0), {"units": {"image": 2}}, 80_000_000),
    ("openai/dall-e-3", usage(0, 0), {"units": {"image 1792x1024": 1}}, 80_000_000),
    ("openai/dall-e-3", usage(0, 0), {"units": {"image hd": 1}}, 80_000_000),
    ("openai/dall-e-3", usage(0, 0), {"units": {"image hd 1024x1792": 3}}, 360_000_000),
    ("openai/dall-e-2", usage(0, 0), {"units": {"image 512x512": 1}}, 18_000_000),
    ("azure/dall-e-3", usage(0, 0), {"units": {"image standard 1024x1024": 1}}, 40_000_000),
    ("fal/openai/gpt-image-2", usage(0, 0), {"units": {"image low 1024x1024": 1}}, 6_000_000),
    ("fal/openai/gpt-image-2", usage(0, 0), {"units": {"image high 3840x2160": 1}}, 401_000_000),
    # gpt-image-1 counts tokens. 50 x 5 + 4160 x 40 = 250 + 166400
    ("openai/gpt-image-1", usage(50, 4160), {}, 166_650_000),
    # free, and known to be
    ("zai/glm-4.7-flash", usage(275, 112, cache_read_tokens=43), {}, 0),
]


@pytest.mark.parametrize(("model", "used", "how", "nano_dollars"), CASES, ids=[f"{case[0]}-{case[3]}" for case in CASES])
def test_invoice(model: str, used: Usage, how: dict[str, Any], nano_dollars: int) -> None:
    found = CATALOG.find(model)
    assert found is not None
    assert cost(found.model, used, **how).nano_dollars == nano_dollars


def test_an_invoice_is_itemised() -> None:
    found = CATALOG.find("anthropic/claude-sonnet-4-5")
    assert found is not None
    used = usage(1000, 100, cache_read_tokens=300, cache_write_tokens=200, cache_write_1h_tokens=50, reasoning_tokens=20)
    made = cost(found.model, used)
    assert [(line.kind, line.quantity, line.rate) for line in made.lines] == [
        ("cache_read", 300, 300_000_000),
        ("cache_write", 150, 3_750_000_000),
        ("cache_write_1h", 50, 6_000_000_000),
        ("input", 500, 3_000_000_000),
        ("reasoning", 20, 15_000_000_000),
        ("output", 80, 15_000_000_000),
    ]
    assert made.lines[0].dollars == 0.00009
    assert made.notes == ()


TOY = Model(provider="toy", name="toy", price=Tariff(rates={"input": 1_500_000, "output": 3_000_000_000}))


def test_a_total_is_rounded_once_and_half_up() -> None:
    assert cost(TOY, usage(1, 0)).nano_dollars == 2  # 1.5 nano-dollars
    assert cost(TOY, usage(3, 0)).nano_dollars == 5  # 4.5, not 3 x 2
    assert cost(TOY, usage(3, 0, cache_read_tokens=2)).nano_dollars == 5  # two lines of 3 and 1.5


@pytest.mark.parametrize(
    ("model", "used", "how", "reason"),
    [
        (Model(provider="toy", name="x"), usage(1, 1), {}, "no price is known for toy/x"),
        (TOY, usage(1, 1), {"batch": True}, "no price is known for toy/toy in the tier 'batch'"),
        (TOY, usage(1, 1), {"service_tier": "turbo"}, "no price is known for toy/toy in the tier 'turbo'"),
        (TOY, usage(0, 0), {"units": {"image": 2}}, "no price is known for image of toy/toy"),
    ],
)
def test_what_has_no_price_is_not_free(model: Model, used: Usage, how: dict[str, Any], reason: str) -> None:
    made = cost(model, used, **how)
    assert made.nano_dollars is None
    assert made.dollars is None
    assert made.reason == reason


def test_what_runs_in_this_process_is_free_and_says_why() -> None:
    made = cost(Model(provider="local", name="smollm2-135m"), usage(10, 10))
    assert (made.nano_dollars, made.reason) == (0, "local runs inside this process")


def test_what_was_assumed_is_told() -> None:
    made = cost(TOY, usage(10, 0, cache_read_tokens=4, web_search_requests=1))
    assert made.notes == (
        "cache_read has no rate of its own and costs what input costs",
        "no price is known for web searches, which are left out",
    )


SIZED = Tariff(rates={"image": 40 * 10**12, "image hd": 80 * 10**12})


@pytest.mark.parametrize(
    ("price", "kind", "nano_dollars", "notes"),
    [
        (SIZED, "image hd", 80_000_000, ()),
        (SIZED, "image hd 1x1", 40_000_000, ("image hd 1x1 has no rate of its own and costs what image costs",)),
        (Tariff(rates={"image": 40 * 10**12}), "image hd 1x1", 40_000_000, ()),
    ],
)
def test_an_image_of_an_unlisted_size_costs_what_images_cost(
    price: Tariff, kind: str, nano_dollars: int, notes: tuple[str, ...]
) -> None:
    made = cost(Model(provider="toy", name="i", kind="image", price=price), units={kind: 1})
    assert (made.nano_dollars, made.notes) == (nano_dollars, notes)


def test_a_threshold_is_passed_by_more_than_it() -> None:
    stepped = Model(
        provider="toy", name="s", price=Tariff(rates={"input": 10**9}, steps=(Step(above=100, rates={"input": 2 * 10**9}),))
    )
    assert cost(stepped, usage(100, 0)).nano_dollars == 100_000
    assert cost(stepped, usage(101, 0)).nano_dollars == 202_000


COUNT = st.integers(0, 10**7)
RATED = Model(
    provider="toy",
    name="rated",
    price=Tariff(rates=dict.fromkeys(("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning"), 10**9)),
)


@given(COUNT, COUNT, COUNT, COUNT, COUNT, COUNT, COUNT)
def test_every_token_is_charged_once(into: int, out: int, read: int, write: int, long: int, thought: int, sound: int) -> None:
    """Whatever a provider says of the shares: where all rates are one, they make no difference."""
    used = usage(
        into,
        out,
        cache_read_tokens=read,
        cache_write_tokens=write,
        cache_write_1h_tokens=long,
        reasoning_tokens=thought,
        input_audio_tokens=sound,
    )
    made = cost(RATED, used)
    assert made.nano_dollars == 1000 * (into + out)
    assert all(line.quantity > 0 for line in made.lines)


@given(st.lists(st.tuples(COUNT, st.integers(0, 10**12)), max_size=5))
def test_no_rounding_is_hidden_in_a_line(lines: list[tuple[int, int]]) -> None:
    made = [Line(kind="input", quantity=quantity, rate=rate) for quantity, rate in lines]
    assert sum(line.femto_dollars for line in made) == sum(quantity * rate for quantity, rate in lines)


# ------------------------------------------------------------------------------------- bills that providers wrote themselves
def _openrouter(told: dict[str, Any]) -> float | None:
    return told.get("cost")


def _xai(told: dict[str, Any]) -> float | None:
    ticks = told.get("cost_in_usd_ticks")
    return None if ticks is None else ticks / 10**10


BILLS: list[tuple[str, Callable[[dict[str, Any]], float | None], float]] = [
    ("xai", _xai, 1.0),
    ("openrouter", _openrouter, 0.85),  # as measured; not every difference is explained (searches, audio, other days)
]


@pytest.mark.parametrize(("provider", "bill", "share"), BILLS, ids=[row[0] for row in BILLS])
def test_our_price_is_the_one_that_the_provider_billed(
    provider: str, bill: Callable[[dict[str, Any]], float | None], share: float
) -> None:
    entries = exchanges("chat", provider=provider, ok=True, streaming=False)
    told = [pair for entry in entries if (pair := _pair(entry, provider, bill))]
    if not told:
        pytest.skip("no recorded bills beside this checkout")
    right = [ours is not None and abs(ours - theirs) <= 1e-9 + theirs / 1000 for ours, theirs in told]
    assert sum(right) / len(right) >= share


def _pair(entry: Entry, provider: str, bill: Callable[[dict[str, Any]], float | None]) -> tuple[float | None, float] | None:
    """(our price, theirs) of a recorded answer that tells what it cost."""
    exchange = entry.load()
    body = exchange.response_json
    theirs = bill(body.get("usage") or {}) if isinstance(body, dict) else None
    if not theirs:
        return None
    found = CATALOG.find(body["model"], provider)
    used = registry.get("openai_chat").decode_response(exchange.response_bytes).usage
    return (cost(found.model, used).dollars if found else None), theirs


@pytest.mark.parametrize(("rates", "nano"), [({}, 0), ({"input": 1_000_000_000, "output": 2_000_000_000}, 28_000)])
def test_what_runs_in_this_process_is_free_unless_a_price_was_given(rates: dict[str, int], nano: int) -> None:
    model = Model(provider="demo", name="echo", price=Tariff(rates=rates))
    assert cost(model, Usage(input_tokens=12, output_tokens=8)).nano_dollars == nano
