"""Quirks of answers: Vercel's gateway counts reasoning beside the completion, which its own costs prove."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.core.chat import Usage
from dragoman.core.events import UsageReport
from dragoman.dialects import registry as dialects
from dragoman.engine.call import Call
from dragoman.engine.prepare import prepare
from dragoman.providers import answers, table
from dragoman.providers.base import NO_QUIRKS, Quirks
from dragoman.providers.registry import DEFAULT, resolve
from dragoman.router.deployment import Deployment
from support.recordings import Entry, exchanges

CHAT = dialects.get("openai_chat")
APART = answers.as_meant(CHAT, Quirks(reasoning_apart=True, relay=False))
COUNTS = {
    "prompt_tokens": 9,
    "completion_tokens": 2,
    "total_tokens": 11,
    "completion_tokens_details": {"reasoning_tokens": 25},
}
ANSWER = {"id": "1", "model": "m", "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}}]}
RATES = {"google/gemini-2.5-flash": (0.3, 2.5), "openai/gpt-5": (1.25, 10), "anthropic/claude-sonnet-4": (3, 15)}
"""USD per million tokens of input and output at the time of the recordings (https://vercel.com/ai-gateway/models)."""


def test_without_the_quirk_a_dialect_stays_what_it_is():
    assert answers.as_meant(CHAT, NO_QUIRKS) is CHAT


def test_reasoning_counted_apart_is_added():
    body = json.dumps(ANSWER | {"usage": COUNTS}).encode()
    assert CHAT.decode_response(body).usage.output_tokens == 2
    assert APART.decode_response(body).usage == Usage(input_tokens=9, output_tokens=27, reasoning_tokens=25)
    chunk = b"data: " + json.dumps({"id": "1", "model": "m", "choices": [], "usage": COUNTS}).encode() + b"\n\n"
    reports = [event for event in APART.stream_decoder().feed(chunk) if isinstance(event, UsageReport)]
    assert [report.usage.output_tokens for report in reports] == [27]
    assert APART.decode_response(json.dumps(ANSWER).encode()).usage is None


def test_everything_else_is_the_dialects():
    assert (APART.name, APART.path("m", stream=False)) == (CHAT.name, CHAT.path("m", stream=False))
    assert not hasattr(APART, "poll")


@pytest.mark.parametrize("row", table.ROWS, ids=lambda row: row.name)
def test_what_counts_apart_is_not_relayed(row: Any):
    assert all(quirks.relay is False for quirks in (row.quirks, *row.model_quirks.values()) if quirks.reasoning_apart)


def test_a_call_reads_as_the_row_says():
    target = resolve("vercel_ai_gateway/openai/gpt-5", env={"AI_GATEWAY_API_KEY": "k"})
    body = b'{"model":"openai/gpt-5","messages":[{"role":"user","content":"x"}]}'
    call = Call(operation="chat", dialect="openai_chat", model="m", body=body, deployments=(Deployment(target),))
    prepared = prepare(call, Deployment(target))
    assert prepared.dialect.decode_response(json.dumps(ANSWER | {"usage": COUNTS}).encode()).usage.output_tokens == 27


PRICED = [entry for entry in exchanges("chat", provider="vercel_gateway", ok=True) if entry.load().data["model"] in RATES]


@pytest.mark.parametrize("entry", PRICED, ids=lambda entry: entry.id)
def test_the_usage_of_a_recording_costs_what_it_says_it_cost(entry: Entry):
    exchange = entry.load()
    dialect = answers.as_meant(CHAT, DEFAULT.get("vercel_ai_gateway").quirks)
    if entry.streaming:
        events = dialect.stream_decoder().feed(exchange.response_bytes)
        usage = [event.usage for event in events if isinstance(event, UsageReport)][-1]
    else:
        usage = dialect.decode_response(exchange.response_bytes).usage
    into, out = RATES[exchange.data["model"]]
    told = usage.extra["openai_chat"]["cost"]
    assert (usage.input_tokens * into + usage.output_tokens * out) / 1e6 == pytest.approx(told)
