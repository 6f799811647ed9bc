"""Mistral is spoken to in OpenAI's dialect with the quirks of its row: all recorded requests, and the answers of its agents.

Its chats are replayed with everybody else's (`test_openai_chat_recordings`), fill-in-the-middle with the text completions.
"""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.dialects import registry
from dragoman.dialects.openai_chat import DIALECT
from dragoman.providers import quirks
from dragoman.providers.registry import resolve
from support.chat_streams import cuts, decode_stream
from support.recordings import Entry, exchanges

AGENTS = exchanges("agents_completions", provider="mistral")
CHATS = exchanges("chat", provider="mistral", ok=True)
BY_ID = {"ids": lambda entry: entry.id}

if not CHATS:
    pytest.skip("no recordings beside the checkout", allow_module_level=True)


@pytest.mark.parametrize("entry", CHATS + AGENTS, **BY_ID)
def test_a_request_passes_the_row_as_it_was_recorded(entry: Entry) -> None:
    """Nothing is dropped or changed but what is written down in `settings`; messages are compared with everybody else's."""
    recorded = entry.load().request_json
    if recorded is None:
        return
    asked = {key: value for key, value in recorded.items() if key != "agent_id"}
    asked["model"] = recorded.get("model") or f"agent:{recorded['agent_id']}"
    target = resolve(f"mistral/{asked['model']}", env={}, api_key="k")
    dialect = registry.get(target.provider.dialects["chat"])
    encoded = dialect.encode_request(DIALECT.decode_request(json.dumps(asked).encode()))
    written = json.loads(json.dumps(encoded.body))
    assert encoded.warnings + quirks.apply(written, target.provider.quirks, target.model) == ()
    assert settings(written) == settings(recorded)
    assert call_ids(written) == [
        id_ if NINE.fullmatch(id_) else call_ids(written)[place] for place, id_ in enumerate(call_ids(recorded))
    ]
    assert all(NINE.fullmatch(id_) for id_ in call_ids(written))


NINE = re.compile(r"[A-Za-z0-9]{9}")
"""An id of a tool call as Mistral makes them; others are rewritten."""


def call_ids(body: dict[str, Any]) -> list[str]:
    calls = [call for message in body["messages"] for call in message.get("tool_calls") or ()]
    results = [message["tool_call_id"] for message in body["messages"] if message.get("tool_call_id")]
    return [call["id"] for call in calls if call.get("id")] + results


def settings(body: dict[str, Any]) -> dict[str, Any]:
    """All but messages and tools, without the liberties that the API gives its writers."""
    kept = {key: value for key, value in body.items() if key not in ("messages", "tools") and value not in (None, [], {})}
    if kept.get("stream") is False:
        del kept["stream"]  # the default
    if isinstance(kept.get("stop"), str):
        kept["stop"] = [kept["stop"]]  # one sequence or a list of them
    if kept.get("tool_choice") == "required":
        kept["tool_choice"] = "any"  # two words for one thing
    if "max_completion_tokens" in kept:
        kept["max_tokens"] = kept.pop("max_completion_tokens")  # the name that the reference has
    if kept.get("response_format", {}).get("type") == "json_schema":
        schema = kept["response_format"]["json_schema"]
        kept["response_format"] = {**schema, "name": schema.get("name", "response")}  # one is made up where none was given
    return kept


@pytest.mark.parametrize("entry", AGENTS, **BY_ID)
def test_an_agents_answer_is_one_of_a_chat(entry: Entry) -> None:
    recorded = entry.load()
    data = recorded.response_bytes
    if not entry.streaming:
        choice = DIALECT.decode_response(data).choices[0]
        assert choice.finish.native == recorded.response_json["choices"][0]["finish_reason"]
        return
    events = decode_stream(DIALECT, data)
    for pieces in cuts(data, random.Random(entry.id), bytewise=True):
        assert decode_stream(DIALECT, *pieces) == events
    assert isinstance(events[-1], ev.ResponseEnd)
    chunks = [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: {")]
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks)
    assert "".join(part.text for part in assemble(events).choices[0].parts) == text
