"""Every recorded exchange with Bedrock that Dragoman speaks, replayed: answers, streams in all slicings, requests, failures.

Requests are read by the test's own reader (`support.bedrock`) and written by the dialect: they must equal what was recorded,
but for the differences that stand here with their reasons. Streams are folded a second time by the plain code below.

Of the recordings of InvokeModel these are not spoken: text completion bodies (Titan Text, Jurassic, Command, Llama 2 and 3,
Mistral 7B, Claude 2 and Instant), whose models are retired or are chat models elsewhere; and the chat bodies of Nova, Jamba and
Command R, because Converse asks the same models with one body for all makers. A model behind SageMaker defines its own body, so
there is no dialect to speak. Token counts, guardrails and model lists are no operation of Dragoman's engine.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.aws_eventstream import EventStreamDecoder
from dragoman.core.chat import OpaquePart, ReasoningPart, TextPart, ToolCallPart
from dragoman.core.errors import BadRequestError, PermissionDeniedError, error_for
from dragoman.core.operations import EmbeddingRequest
from dragoman.dialects import registry
from dragoman.dialects.anthropic_messages import DIALECT as ANTHROPIC
from support.bedrock import read_request
from support.recordings import Entry, Exchange, exchanges

CONVERSE = registry.get("bedrock_converse")
INVOKE = registry.get("anthropic_bedrock")
EMBEDDINGS = registry.get("bedrock_embeddings")

CONVERSED = exchanges("converse")
INVOKED = exchanges("invoke", provider="bedrock")

if not CONVERSED:
    pytest.skip("no recordings beside the checkout", allow_module_level=True)


def sent(entry: Entry) -> dict[str, Any]:
    return entry.load().request_json or {}


CLAUDE = [entry for entry in INVOKED if "anthropic_version" in sent(entry) and entry.status == 200]
VECTORS = [entry for entry in INVOKED if "embed" in entry.load().data["model"] and entry.status == 200]
FAILURES = [entry for entry in CONVERSED + INVOKED if entry.status != 200]
BY_ID = {"ids": lambda entry: entry.id}


def model_of(exchange: Exchange) -> str:
    """The model as it stands in the path, in whatever encoding."""
    return unquote(urlsplit(exchange.data["request"]["url"]).path.split("/")[2])


def decoded(dialect: Any, pieces: Iterable[bytes]) -> list[ev.Event]:
    decoder = dialect.stream_decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def slicings(data: bytes, seed: str) -> Iterable[list[bytes]]:
    rng = random.Random(seed)
    yield [data[place : place + 1] for place in range(len(data))]
    for longest in (7, 90, 1500):
        pieces, place = [], 0
        while place < len(data):
            size = rng.randint(1, longest)
            pieces.append(data[place : place + size])
            place += size
        yield pieces


# ---------------------------------------------------------------------------------------------------------------- streams
@pytest.mark.parametrize("entry", [entry for entry in CONVERSED if entry.streaming and entry.status == 200], **BY_ID)
def test_a_stream_means_the_same_in_all_slicings(entry: Entry) -> None:
    data = entry.load().response_bytes
    events = decoded(CONVERSE, [data])
    for pieces in slicings(data, entry.id):
        assert decoded(CONVERSE, pieces) == events
    assert isinstance(events[0], ev.ResponseStart)
    assert isinstance(events[-1], ev.ResponseEnd)
    assert not any(isinstance(event, ev.StreamError | ev.Warning) for event in events)
    assert whole(assemble(events)) == folded(data)


@pytest.mark.parametrize("entry", [entry for entry in CLAUDE if entry.streaming], **BY_ID)
def test_a_stream_of_invoke_is_one_of_anthropic_in_an_envelope(entry: Entry) -> None:
    data = entry.load().response_bytes
    events = decoded(INVOKE, [data])
    for pieces in slicings(data, entry.id):
        assert decoded(INVOKE, pieces) == events
    inner = [base64.b64decode(json.loads(message.payload)["bytes"]) for message in EventStreamDecoder().feed(data)]
    assert events == decoded(ANTHROPIC, [b"data: " + event + b"\n\n" for event in inner])
    assert isinstance(events[-1], ev.ResponseEnd)


def whole(response: Any) -> dict[str, Any]:
    """An assembled answer in AWS's words."""
    (choice,) = response.choices
    usage = response.usage
    return {
        "content": [block_of(part) for part in choice.parts],
        "stopReason": choice.finish.native,
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "metadata": response.extra["bedrock_converse"],
    }


def block_of(part: Any) -> Any:
    match part:
        case TextPart():
            return {"text": part.text, "citations": [cited.extra["bedrock_converse"] for cited in part.citations]}
        case ReasoningPart():
            return {"thought": part.text, "signature": part.signature}
        case ToolCallPart():
            return {"id": part.id, "name": part.name, "input": json.loads(part.arguments)}
        case OpaquePart():
            return part.value
    raise AssertionError(part)


def folded(data: bytes) -> dict[str, Any]:
    """The same by plain code, straight from the frames."""
    blocks: dict[int, dict[str, Any]] = {}
    seen: dict[str, Any] = {}
    for message in EventStreamDecoder().feed(data):
        kind, event = message.header(":event-type"), json.loads(message.payload)
        if kind == "contentBlockStart":
            blocks[event["contentBlockIndex"]] = {"start": event["start"]}
        elif kind == "contentBlockDelta":
            block = blocks.setdefault(event["contentBlockIndex"], {})
            for name, value in event["delta"].items():
                block.setdefault(name, []).append(value)
        else:
            seen[kind] = event
    usage = seen["metadata"]["usage"]
    cached = usage.get("cacheReadInputTokens", 0) + usage.get("cacheWriteInputTokens", 0)
    return {
        "content": [block for _, held in sorted(blocks.items()) if (block := folded_block(held)) is not None],
        "stopReason": seen["messageStop"]["stopReason"],
        "input": usage["inputTokens"] + cached,
        "output": usage["outputTokens"],
        "metadata": {key: value for key, value in seen["metadata"].items() if key not in ("usage", "p")},
    }


def folded_block(held: dict[str, Any]) -> Any:
    ((kind, start),) = held.get("start", {"": {}}).items()
    if kind == "toolUse":
        given = json.loads("".join(piece["input"] for piece in held.get("toolUse", [])) or "{}")
        if start.get("type") == "server_tool_use":
            return {"toolUse": {**start, "input": given}}
        return {"id": start["toolUseId"], "name": start["name"], "input": given}
    if kind == "toolResult":
        return {"toolResult": {**start, "content": [item for items in held["toolResult"] for item in items]}}
    if "reasoningContent" in held:
        thoughts = held["reasoningContent"]
        signed = [piece["signature"] for piece in thoughts if "signature" in piece]
        return {"thought": "".join(piece.get("text", "") for piece in thoughts), "signature": signed[0] if signed else None}
    text = "".join(held["text"])
    return {"text": text, "citations": held.get("citation", [])} if text else None  # gpt-oss announces itself by an empty text


# ---------------------------------------------------------------------------------------------------------------- answers
@pytest.mark.parametrize("entry", [entry for entry in CONVERSED if not entry.streaming and entry.status == 200], **BY_ID)
def test_an_answer_is_read_whole(entry: Entry) -> None:
    recorded = entry.load()
    answer = recorded.response_json
    response = CONVERSE.decode_response(recorded.response_bytes)
    (choice,) = response.choices
    assert [block_of(part) for part in choice.parts] == [plain_block(block) for block in answer["output"]["message"]["content"]]
    assert choice.finish.native == answer["stopReason"]
    assert choice.finish.reason != "unknown"
    if answer.get("usage"):
        counted = answer["usage"]
        if "totalTokens" in counted:
            assert response.usage.total_tokens == counted["totalTokens"]
        assert response.usage.output_tokens == counted["outputTokens"]
    assert response.extra.get("bedrock_converse", {}) == {
        key: value for key, value in answer.items() if key not in ("output", "stopReason", "usage")
    }


def plain_block(block: dict[str, Any]) -> Any:
    ((kind, value),) = block.items()
    if kind == "text":
        return {"text": value, "citations": []}
    if kind == "citationsContent":
        return {"text": "".join(piece["text"] for piece in value["content"]), "citations": value["citations"]}
    if kind == "reasoningContent":
        return {"thought": value["reasoningText"]["text"], "signature": value["reasoningText"].get("signature")}
    if kind == "toolUse" and value.get("type") != "server_tool_use":
        return {"id": value["toolUseId"], "name": value["name"], "input": value["input"]}
    return block


@pytest.mark.parametrize("entry", [entry for entry in CLAUDE if not entry.streaming], **BY_ID)
def test_an_answer_of_invoke_is_one_of_anthropic(entry: Entry) -> None:
    body = entry.load().response_bytes
    assert INVOKE.decode_response(body) == ANTHROPIC.decode_response(body)


@pytest.mark.parametrize("entry", VECTORS, **BY_ID)
def test_vectors_are_read(entry: Entry) -> None:
    recorded = entry.load()
    answer = recorded.response_json
    response = EMBEDDINGS.decode_response(recorded.response_bytes)
    held = answer.get("embeddings", {})
    expected = held["float"] if "float" in held else [item["embedding"] for item in held] if held else [answer["embedding"]]
    assert [list(embedding.vector) for embedding in response.embeddings] == expected
    assert (response.usage and response.usage.input_tokens) == answer.get("inputTextTokenCount")


# --------------------------------------------------------------------------------------------------------------- requests
@pytest.mark.parametrize("entry", CONVERSED, **BY_ID)
def test_the_request_of_the_same_meaning_is_the_recorded_one(entry: Entry) -> None:
    recorded = entry.load()
    model, body = model_of(recorded), recorded.request_json
    encoded = CONVERSE.encode_request(read_request(model, json.loads(json.dumps(body))))
    assert plain(json.loads(json.dumps(encoded.body))) == plain(body)
    assert encoded.warnings == ()


@pytest.mark.parametrize("entry", CONVERSED + CLAUDE, **BY_ID)
def test_the_path_is_the_recorded_one(entry: Entry) -> None:
    """Some clients leave the colons of a model's name as they are; the name is the same."""
    recorded = entry.load()
    dialect = CONVERSE if entry in CONVERSED else INVOKE
    path = dialect.path(model_of(recorded), stream=entry.streaming)
    url = urlsplit(recorded.data["request"]["url"])
    assert path.replace("%3A", ":") == url.path.replace("%3A", ":")


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """A request without the liberties that the API gives its writers; these are all the deliberate differences."""
    body = without_empty(body)  # empty and absent are the same
    if "outputConfig" in body:  # the schema is JSON in a text, whose spaces and order mean nothing
        schema = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        schema["schema"] = json.loads(schema["schema"])
    turns: list[dict[str, Any]] = []
    for turn in body["messages"]:
        content = [block for block in turn["content"] if block.get("text") != ""]  # an empty text is refused by the API
        for block in content:
            if block.get("video", {}).get("format") == "video/mp4":
                block["video"]["format"] = "mp4"  # the word of AWS's reference
        if turns and turns[-1]["role"] == turn["role"]:
            turns[-1]["content"] += content
        elif content:
            turns.append({"role": turn["role"], "content": content})
    return {**body, "messages": turns}


def without_empty(body: dict[str, Any]) -> dict[str, Any]:
    """Of the fields of the request and of inferenceConfig."""
    config = {key: value for key, value in body.get("inferenceConfig", {}).items() if value != []}
    return {key: value for key, value in {**body, "inferenceConfig": config}.items() if value not in ({}, [], None)}


@pytest.mark.parametrize("entry", CLAUDE, **BY_ID)
def test_a_request_of_invoke_loses_nothing(entry: Entry) -> None:
    recorded = entry.load()
    body = {key: value for key, value in recorded.request_json.items() if key != "anthropic_version"}
    request = ANTHROPIC.decode_request(json.dumps({"model": model_of(recorded), **body}).encode())
    written, warnings = INVOKE.encode_request(request)[:2]
    again = ANTHROPIC.encode_request(request).body
    assert warnings == ()
    assert written == {"anthropic_version": "bedrock-2023-05-31"} | {
        key: value for key, value in again.items() if key not in ("model", "stream")
    }
    assert {key for key, value in recorded.request_json.items() if value != []} == written.keys()  # no tools are asked for


@pytest.mark.parametrize("entry", VECTORS, **BY_ID)
def test_a_request_for_vectors_is_the_recorded_one(entry: Entry) -> None:
    recorded = entry.load()
    body = recorded.request_json
    request = read_vectors(model_of(recorded), json.loads(json.dumps(body)))
    assert EMBEDDINGS.encode_request(request)[:2] == (body, ())


def read_vectors(model: str, body: dict[str, Any]) -> EmbeddingRequest:
    if "singleEmbeddingParams" in body:
        inner = body["singleEmbeddingParams"]
        left = {"embeddingPurpose": inner["embeddingPurpose"], "truncationMode": inner["text"]["truncationMode"]}
        texts, dimensions = [inner["text"]["value"]], inner["embeddingDimension"]
    else:
        dimensions = body.pop("dimensions", None) or body.pop("output_dimension", None)
        texts = body.pop("texts", None) or [body.pop("inputText")]
        left = body
    return EmbeddingRequest(
        model=model, input=tuple(texts), dimensions=dimensions, extra={"openai_embeddings": left} if left else {}
    )


# --------------------------------------------------------------------------------------------------------------- failures
@pytest.mark.parametrize("entry", FAILURES, **BY_ID)
def test_a_failure_is_understood(entry: Entry) -> None:
    recorded = entry.load()
    for dialect in (CONVERSE, INVOKE, EMBEDDINGS):
        detail = dialect.decode_error(entry.status, recorded.response_bytes)
        assert detail.message == recorded.response_json["message"]
        error = error_for(entry.status, detail)
        assert type(error) is {400: BadRequestError, 403: PermissionDeniedError}[entry.status]
