"""Every recorded exchange with generateContent (AI Studio and Vertex), replayed: answers, streams in all slicings, requests
there and back, failures.

Nothing here compares the dialect with itself alone: streams are folded a second time by the plain code below, and bodies are
compared with what was recorded. What may differ is written down with its reason.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import (
    ChatRequest,
    ChatResponse,
    MediaPart,
    OpaquePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from dragoman.core.errors import BadRequestError, ContentPolicyViolationError, error_for
from dragoman.dialects.gemini import DIALECT
from dragoman.dialects.gemini_vertex import DIALECT as ON_VERTEX
from support.recordings import Entry, Exchange, exchanges

ALL = exchanges("generate_content")
FAILURES = exchanges("generate_content", ok=False)
BLOCKED = {"vertex-generate_content-content_filter-1425922b"}

if not ALL:
    pytest.skip("no recordings beside the checkout", allow_module_level=True)


def is_events(exchange: Exchange) -> bool:
    return exchange.data["response"]["body_encoding"] == "text"


STREAMS = [entry for entry in exchanges("generate_content", ok=True) if is_events(entry.load())]
ANSWERS = [entry for entry in exchanges("generate_content", ok=True) if not is_events(entry.load()) and entry.id not in BLOCKED]
ARRAYS = [entry for entry in ANSWERS if isinstance(entry.load().response_json, list)]


def by_id(entry: Entry) -> str:
    return entry.id


def decoded(pieces: Iterable[bytes]) -> list[ev.Event]:
    decoder = DIALECT.stream_decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def cut(data: bytes, rng: random.Random, longest: int) -> list[bytes]:
    pieces, place = [], 0
    while place < len(data):
        size = rng.randint(1, longest)
        pieces.append(data[place : place + size])
        place += size
    return pieces


def single(data: bytes) -> list[bytes]:
    return [data[place : place + 1] for place in range(len(data))]


def chunks_of(exchange: Exchange) -> list[dict[str, Any]]:
    if not is_events(exchange):
        body = exchange.response_json
        return body if isinstance(body, list) else [body]
    return [json.loads(line[5:]) for line in exchange.response_bytes.splitlines() if line.startswith(b"data:")]


# ------------------------------------------------------------------------------------------------------- what it amounts to
def plain_fold(chunks: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """What pieces amount to, by the vendor's description of it and nothing of ours, by the index of the choice."""
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        for candidate in chunk.get("candidates", ()):
            empty = {"text": "", "thoughts": "", "calls": [], "others": [], "signatures": [], "finish": None}
            choice = choices.setdefault(candidate.get("index", 0), empty)
            choice["finish"] = candidate.get("finishReason", choice["finish"])
            for part in candidate.get("content", {}).get("parts", ()):
                fold_part(choice, part)
    return choices


def fold_part(choice: dict[str, Any], part: dict[str, Any]) -> None:
    if "thoughtSignature" in part:
        choice["signatures"].append(part["thoughtSignature"])
    if "text" in part:
        choice["thoughts" if part.get("thought") else "text"] += part["text"]
    elif "functionCall" in part:
        call = part["functionCall"]
        if "name" in call:
            choice["calls"].append({"name": call["name"], "args": call.get("args", {}), "id": call.get("id")})
        for piece in call.get("partialArgs", ()):
            fold_piece(choice["calls"][-1]["args"], piece)
    else:
        choice["others"].append({key: value for key, value in part.items() if key != "thoughtSignature"})


def fold_piece(args: dict[str, Any], piece: dict[str, Any]) -> None:
    """Paths of these recordings: names and numbers of a list."""
    steps = [int(step) if step.isdigit() else step for step in re.findall(r"\w+", piece["jsonPath"])]
    value = next(value for key, value in piece.items() if key.endswith("Value"))
    holder: Any = args
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        if isinstance(holder, list) and len(holder) == step:
            holder.append(None)
        held = holder[step] if isinstance(holder, list) else holder.get(step)
        if following is None:
            holder[step] = held + value if isinstance(held, str) else value
        elif held is None:
            holder[step] = [] if isinstance(following, int) else {}
        holder = holder[step]


def meaning(response: ChatResponse) -> dict[int, dict[str, Any]]:
    """Our answer in the same shape."""
    return {choice.index: choice_meaning(choice) for choice in response.choices}


def choice_meaning(choice: Any) -> dict[str, Any]:
    parts, finish = choice.parts, choice.finish
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    others = [part.value for part in parts if isinstance(part, OpaquePart)]
    signed = [
        part.value.get("thoughtSignature") if isinstance(part, OpaquePart) else getattr(part, "signature", None)
        for part in parts
    ]
    return {
        "text": "".join(part.text for part in parts if isinstance(part, TextPart)),
        "thoughts": "".join(part.text for part in parts if isinstance(part, ReasoningPart)),
        "calls": [
            {"name": call.name, "args": json.loads(call.arguments), "id": None if call.id.startswith("gemini_") else call.id}
            for call in calls
        ],
        "others": [{key: value for key, value in other.items() if key != "thoughtSignature"} for other in others]
        + [{"inlineData": {"mimeType": part.media_type, "data": part.data}} for part in parts if isinstance(part, MediaPart)],
        "signatures": [signature for signature in signed if signature is not None],
        "finish": {"STOP": 1}.get(finish.native, finish.native) if finish else None,
    }


def numbered(folded: dict[int, dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """STOP is 1 for servers that were asked for numbers."""
    return {
        index: {**choice, "finish": {"STOP": 1}.get(choice["finish"], choice["finish"])} for index, choice in folded.items()
    }


@pytest.mark.parametrize("entry", ANSWERS, ids=by_id)
def test_an_answer_means_what_it_says_and_can_be_told_again(entry: Entry) -> None:
    exchange = entry.load()
    chunks = chunks_of(exchange)
    response = DIALECT.decode_response(exchange.response_bytes)
    assert meaning(response) == numbered(plain_fold(chunks))
    assert response.warnings == ()
    assert response.model == chunks[-1]["modelVersion"]
    assert DIALECT.read_usage(json.dumps(chunks[-1]).encode()) == response.usage
    for choice in response.choices:
        called = any(isinstance(part, ToolCallPart) for part in choice.parts)
        assert choice.finish.reason == ("tool_calls" if called else {"MAX_TOKENS": "length"}.get(choice.finish.native, "stop"))
    again = DIALECT.encode_response(response, now=0)
    assert without_ids(DIALECT.decode_response(again)) == without_ids(response)
    if len(chunks) == 1:
        assert said(json.loads(again)) == said(chunks[0])


def without_ids(response: ChatResponse) -> Any:
    return re.sub(r"gemini_[\w-]*_\d+", "made", repr(response))


NUMBERS = {"finishReason": {1: "STOP", 2: "MAX_TOKENS"}}


def said(body: dict[str, Any]) -> Any:
    """An answer for comparison; these are all the deliberate differences."""
    for candidate in body["candidates"]:
        candidate.setdefault("index", 0)  # none is the first
        candidate["finishReason"] = NUMBERS["finishReason"].get(candidate["finishReason"], candidate["finishReason"])
        for part in candidate["content"].get("parts", ()):
            if "functionCall" in part:
                part["functionCall"].setdefault("args", {})  # none is an empty object
        candidate["content"]["parts"] = joined(candidate["content"].get("parts", []))
        for tokens in lists_of_tokens(candidate.get("logprobsResult", {})):
            for token in tokens:
                del token["tokenId"]  # the vocabulary has no place for it
                token["logProbability"] = float(token["logProbability"])
    usage = body["usageMetadata"]
    for key in ("candidatesTokenCount", "promptTokenCount"):
        usage.setdefault(key, 0)  # clients read these, so they are always written
    parts = ("promptTokenCount", "candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount")
    usage["totalTokenCount"] = sum(usage.get(key, 0) for key in parts)  # some recordings lack a part of it
    return body


def joined(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Neighbouring texts are one text, unless the first is signed; an empty one is none."""
    found: list[dict[str, Any]] = []
    for part in parts:
        last = found[-1] if found else {}
        unsigned = "text" in part and "text" in last and "thoughtSignature" not in last
        if unsigned and part.get("thought") == last.get("thought"):
            found[-1] = {**part, "text": last["text"] + part["text"]}
        elif part != {"text": ""}:
            found.append(part)
    return found


def lists_of_tokens(result: dict[str, Any]) -> list[list[dict[str, Any]]]:
    for item in result.get("chosenCandidates", []):
        item.setdefault("tokenId", None)
    tops = [item["candidates"] for item in result.get("topCandidates", [])]
    return [tokens for tokens in [result.get("chosenCandidates", []), *tops] if all("tokenId" in token for token in tokens)]


@pytest.mark.parametrize("entry", [entry for entry in ALL if entry.id in BLOCKED], ids=by_id)
def test_a_blocked_prompt_is_a_refused_request(entry: Entry) -> None:
    body = entry.load().response_bytes
    with pytest.raises(ContentPolicyViolationError, match=r"blocked \(MODEL_ARMOR\): The prompt violated"):
        DIALECT.decode_response(body)
    events = decoded([b"data: " + body + b"\r\n\r\n"])
    assert [type(event) for event in events] == [ev.ResponseStart, ev.UsageReport, ev.StreamError]


# ----------------------------------------------------------------------------------------------------------------- streams
@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_stream_is_the_same_however_it_is_cut(entry: Entry) -> None:
    data = entry.load().response_bytes
    whole = decoded([data])
    rng = random.Random(entry.id)
    lines = data.replace(b"\r\n", b"\n")
    slicings = [single(data[-20_000:] if len(data) > 300_000 else data)] if len(data) <= 60_000 else []
    for pieces in (*slicings, [lines], cut(data, rng, 40), cut(lines, rng, 4000), cut(lines.replace(b"\n", b"\r\n"), rng, 900)):
        assert decoded(pieces) == whole


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_stream_amounts_to_what_it_says(entry: Entry) -> None:
    exchange = entry.load()
    chunks = chunks_of(exchange)
    events = decoded([exchange.response_bytes])
    assert isinstance(events[0], ev.ResponseStart)
    assert isinstance(events[-1], ev.ResponseEnd)
    response = assemble(events)
    assert response.warnings == ()
    assert meaning(response) == numbered(plain_fold(chunks))
    last = next(chunk["usageMetadata"] for chunk in reversed(chunks) if "usageMetadata" in chunk)
    assert DIALECT.read_usage(json.dumps({"usageMetadata": last}).encode()) == response.usage
    assert (response.id, response.model) == (chunks[0].get("responseId", ""), chunks[0]["modelVersion"])


@pytest.mark.parametrize("entry", ARRAYS, ids=by_id)
def test_a_stream_that_comes_as_an_array_is_the_same(entry: Entry) -> None:
    data = entry.load().response_bytes
    response = DIALECT.decode_response(data)
    for pieces in ([data], single(data), cut(data, random.Random(entry.id), 500)):
        assert assemble(decoded(pieces)) == response
    assert isinstance(decoded([data[:-30]])[-1], ev.StreamError)


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_stream_written_anew_means_the_same(entry: Entry) -> None:
    events = decoded([entry.load().response_bytes])
    encoder = DIALECT.stream_encoder(ChatRequest(model="asked"), now=0)
    data = b"".join(encoder.encode(event) for event in events)
    expected = replace(assemble(events), service_tier=None)  # the tier stands among the counts, which come last here
    assert without_ids(assemble(decoded([data]))) == without_ids(expected)
    chunks = [json.loads(line[5:]) for line in data.split(b"\n") if line.startswith(b"data:")]
    assert all(chunk["modelVersion"] for chunk in chunks)
    assert [bool("usageMetadata" in chunk) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_the_tap_agrees_with_the_decoder(entry: Entry) -> None:
    data = entry.load().response_bytes
    expected = assemble(decoded([data])).usage
    rng = random.Random(entry.id)
    for pieces in ([data], cut(data, rng, 30), cut(data.replace(b"\r\n", b"\n"), rng, 300)):
        tap = DIALECT.stream_tap()
        for piece in pieces:
            tap.feed(piece)
        assert (tap.started, tap.complete, tap.usage, tap.error, tap.error_status) == (True, True, expected, None, 0)


@pytest.mark.parametrize("entry", STREAMS, ids=by_id)
def test_a_stream_that_is_cut_short_never_ends_cleanly(entry: Entry) -> None:
    data = entry.load().response_bytes
    before_the_reason = data.index(b'"finishReason"')
    for end in random.Random(entry.id).sample(range(before_the_reason), 3):
        events, tap = decoded([data[:end]]), DIALECT.stream_tap()
        assert isinstance(events[-1], ev.StreamError)
        assert events[-1].broken
        assert not any(isinstance(event, ev.ResponseEnd) for event in events)
        tap.feed(data[:end])
        assert not tap.complete


# ---------------------------------------------------------------------------------------------------------------- requests
NO_REQUESTS = {"vertex-generate_content-error_400-4b49f2e2": "role: expected user or model"}
"""The vendor refused it too."""


@pytest.mark.parametrize("entry", ALL, ids=by_id)
def test_a_request_loses_nothing_on_the_way_through(entry: Entry) -> None:
    recorded = entry.load().request_json
    if recorded is None:
        return
    if entry.id in NO_REQUESTS:
        with pytest.raises(BadRequestError, match=NO_REQUESTS[entry.id]):
            DIALECT.decode_request(json.dumps(recorded).encode())
        return
    request = DIALECT.decode_request(json.dumps(recorded).encode())
    assert request.model == (recorded.get("model") or "").removeprefix("models/")
    encoded = DIALECT.encode_request(request)
    assert encoded.warnings == ()
    assert plain(encoded.body) == plain(recorded)
    assert ON_VERTEX.encode_request(request) == encoded


FREE = {"args", "response", "parameters", "parametersJsonSchema", "responseSchema", "responseJsonSchema"}


def spelled(value: Any) -> Any:
    """A copy in the vendor's own spelling (tool_config is toolConfig) without null fields, which it takes for absent."""
    if isinstance(value, dict):
        named = {re.sub(r"_(\w)", lambda found: found[1].upper(), key): inner for key, inner in value.items()}
        return {key: inner if key in FREE else spelled(inner) for key, inner in named.items() if inner is not None}
    return [spelled(inner) for inner in value] if isinstance(value, list) else value


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """A request without the liberties that the API gives its writers; these are all the deliberate differences."""
    body = spelled(body)
    body.pop("model", None)  # it stands in the path
    system = body.pop("systemInstruction", {})
    if texts := parts_of(system):  # its role says nothing
        body["systemInstruction"] = {"parts": texts}
    turns: list[dict[str, Any]] = []
    for content in body["contents"]:
        role, parts = content.get("role", "user"), parts_of(content)  # without a role the user speaks
        results = bool(parts) and all("functionResponse" in part for part in parts)
        same = turns and turns[-1]["role"] == ("user" if role == "function" else role) and turns[-1]["results"] == results
        if same:  # neighbours of a side become one turn, because all results of a turn's calls must stand in one
            turns[-1]["parts"] += parts
        else:
            turns.append({"role": "user" if role == "function" else role, "parts": parts, "results": results})
    body["contents"] = [turn for turn in turns if turn["parts"]]
    body["tools"] = tools_of(body.get("tools", []))
    for key in ("generationConfig", "toolConfig", "tools"):
        if not body.get(key):
            body.pop(key, None)  # nothing is said in it
    return body


def parts_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    held = content.get("parts", [])
    found = []
    for part in [held] if isinstance(held, dict) else held:  # one part stands for a list of one
        if part in ({"text": ""}, {"text": "", "thought": False}):
            continue  # models refuse an empty text, so it is left out
        if part.get("thought") is False:
            del part["thought"]  # the default
        if part.get("thought"):
            part.setdefault("text", "")
        if "functionCall" in part:
            part["functionCall"].setdefault("args", {})
        found.append(part)
    return found


def tools_of(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Functions stand together, at the front; the vendor's own tools each by itself. Their order means nothing."""
    functions = [function for tool in tools for function in tool.get("functionDeclarations", ())]
    natives = [{key: held} for tool in tools for key, held in tool.items() if key != "functionDeclarations"]
    return ([{"functionDeclarations": functions}] if functions else []) + natives


# ---------------------------------------------------------------------------------------------------------------- failures
@pytest.mark.parametrize("entry", FAILURES, ids=by_id)
def test_a_failure_is_understood_and_can_be_told_again(entry: Entry) -> None:
    recorded = entry.load()
    body = recorded.response_json
    told = (body[0] if isinstance(body, list) else body)["error"]
    detail = DIALECT.decode_error(entry.status, recorded.response_bytes)
    assert (detail.message, detail.type) == (told["message"], told["status"])
    if entry.status == 429 and "details" in told:
        assert detail.retry_after is not None
    error = error_for(entry.status, detail)
    assert error.status_code == entry.status
    again = json.loads(DIALECT.encode_error(error))["error"]
    assert (again["code"], again["status"]) == (entry.status, told["status"])
    assert told["message"] in again["message"]
