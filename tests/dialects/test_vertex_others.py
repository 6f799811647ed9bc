"""What else Google serves: vectors of the Gemini API and of Vertex, and Claude on Vertex. Our own cases, and recorded ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import ChatRequest, Message, TextPart
from dragoman.core.errors import BadRequestError, ResponseDecodeError, error_for
from dragoman.core.operations import Embedding, EmbeddingRequest
from dragoman.dialects.anthropic_messages import DIALECT as ANTHROPIC
from dragoman.dialects.anthropic_vertex import DIALECT as CLAUDE
from dragoman.dialects.gemini_embeddings import DIALECT as GEMINI
from dragoman.dialects.vertex_embeddings import DIALECT as VERTEX
from support.recordings import Entry, exchanges

MODEL = "gemini-embedding-001"
RECORDED_OF_GEMINI = exchanges("embeddings", provider="gemini")
RECORDED_OF_VERTEX = exchanges("embeddings", provider="vertex")
RECORDED_OF_CLAUDE = exchanges("messages", provider="vertex")


def by_id(entry: Entry) -> str:
    return entry.id


# ----------------------------------------------------------------------------------------------------------------- vectors
def test_texts_go_to_the_gemini_api_one_request_each():
    request = EmbeddingRequest(
        model=MODEL, input=("a", "b"), dimensions=8, user="u", extra={"openai_embeddings": {"task_type": "CLUSTERING", "x": 1}}
    )
    encoded = GEMINI.encode_request(request)
    shared = {"model": f"models/{MODEL}", "taskType": "CLUSTERING", "outputDimensionality": 8}
    assert encoded.body == {"requests": [{**shared, "content": {"parts": [{"text": text}]}} for text in "ab"]}
    assert [warning.field for warning in encoded.warnings] == ["user", "x"]
    assert GEMINI.path(MODEL) == f"/models/{MODEL}:batchEmbedContents"


def test_texts_go_to_vertex_as_instances():
    extra = {"openai_embeddings": {"task_type": "CLUSTERING", "title": "t", "autoTruncate": False}}
    encoded = VERTEX.encode_request(EmbeddingRequest(model=MODEL, input=("a", "b"), dimensions=8, extra=extra))
    assert encoded.body == {
        "instances": [{"content": text, "task_type": "CLUSTERING", "title": "t"} for text in "ab"],
        "parameters": {"autoTruncate": False, "outputDimensionality": 8},
    }
    assert encoded.warnings == ()
    assert VERTEX.path(MODEL) == f"/publishers/google/models/{MODEL}:predict"


@pytest.mark.parametrize("dialect", [GEMINI, VERTEX])
def test_token_lists_are_refused(dialect: Any):
    with pytest.raises(BadRequestError, match=r"input: .*texts, no token lists: send the text itself") as caught:
        dialect.encode_request(EmbeddingRequest(model=MODEL, input=((1, 2),)))
    assert caught.value.param == "input"


@pytest.mark.parametrize("dialect", [GEMINI, VERTEX])
@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"embeddings": [{}]}', b'{"predictions": [{"embeddings": 1}]}', b'{"embeddings": 1}']
)
def test_an_answer_without_vectors_is_told(dialect: Any, body: bytes):
    with pytest.raises(ResponseDecodeError, match="the answer holds no vectors"):
        dialect.decode_response(body)


def test_vectors_and_counts_are_read():
    found = GEMINI.decode_response(
        b'{"embeddings": [{"values": [1, 0.5]}, {"values": [2]}], "usageMetadata": {"promptTokenCount": 3}}'
    )
    assert found.embeddings == (Embedding(index=0, vector=(1.0, 0.5)), Embedding(index=1, vector=(2.0,)))
    assert found.usage.input_tokens == 3
    one = {"embeddings": {"values": [1], "statistics": {"token_count": 4, "truncated": False}}}
    found = VERTEX.decode_response(json.dumps({"predictions": [one, one]}).encode())
    assert [embedding.index for embedding in found.embeddings] == [0, 1]
    assert found.usage.input_tokens == 8


@pytest.mark.parametrize("entry", [entry for entry in RECORDED_OF_GEMINI if entry.status == 200], ids=by_id)
def test_recorded_vectors_of_the_gemini_api(entry: Entry):
    exchange = entry.load()
    body, sent = exchange.response_json, exchange.request_json
    vectors = [item["values"] for item in body.get("embeddings") or [body["embedding"]]]
    response = GEMINI.decode_response(exchange.response_bytes)
    assert [list(embedding.vector) for embedding in response.embeddings] == vectors
    assert (response.usage is None) == ("usageMetadata" not in body)
    asked = sent.get("requests") or [sent]
    parts = [request["content"]["parts"] for request in asked]
    if all(len(held) == 1 for held in parts):
        fields = {key: asked[0][key] for key in ("taskType", "title") if key in asked[0]}
        request = EmbeddingRequest(
            model=exchange.data["request"]["url"].rpartition("/")[2].partition(":")[0],
            input=tuple(held[0]["text"] for held in parts),
            dimensions=asked[0].get("outputDimensionality"),
            extra={"gemini_embeddings": fields},
        )
        made = GEMINI.encode_request(request)
        assert made.warnings == ()
        for mine, theirs in zip(made.body["requests"], asked, strict=True):
            theirs["content"].pop("role", None)  # nobody but the user speaks
            assert mine == {"model": mine["model"], **theirs}


@pytest.mark.parametrize("entry", [entry for entry in RECORDED_OF_VERTEX if entry.status == 200], ids=by_id)
def test_recorded_vectors_of_vertex(entry: Entry):
    exchange = entry.load()
    predictions = exchange.response_json["predictions"]
    response = VERTEX.decode_response(exchange.response_bytes)
    assert [list(embedding.vector) for embedding in response.embeddings] == [one["embeddings"]["values"] for one in predictions]
    assert response.usage is None or response.usage.input_tokens > 0
    instances = exchange.request_json["instances"]
    request = EmbeddingRequest(
        model=MODEL,
        input=tuple(instance["content"] for instance in instances),
        extra={"vertex_embeddings": {"taskType": instances[0]["task_type"]}},
    )
    assert VERTEX.encode_request(request) == (exchange.request_json, (), "application/json")


@pytest.mark.parametrize(
    "entry", [entry for entry in RECORDED_OF_GEMINI + RECORDED_OF_VERTEX if entry.status != 200], ids=by_id
)
def test_recorded_failures(entry: Entry):
    exchange = entry.load()
    detail = GEMINI.decode_error(entry.status, exchange.response_bytes)
    assert detail.message == exchange.response_json["error"]["message"]
    assert error_for(entry.status, detail).status_code == entry.status


# ------------------------------------------------------------------------------------------------------------------ claude
def test_claude_is_asked_with_the_model_in_the_path():
    request = ChatRequest(
        model="claude-sonnet-4-5@20250929",
        messages=(Message(role="user", parts=(TextPart(text="Hi"),)),),
        max_tokens=9,
        stream=True,
        seed=1,
    )
    encoded = CLAUDE.encode_request(request)
    assert encoded.body == {
        "anthropic_version": "vertex-2023-10-16",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "stream": True,
    }
    assert [warning.field for warning in encoded.warnings] == ["seed"]
    assert CLAUDE.path("claude-m@1", stream=False) == "/publishers/anthropic/models/claude-m@1:rawPredict"
    assert CLAUDE.path("claude-m@1", stream=True) == "/publishers/anthropic/models/claude-m@1:streamRawPredict"
    assert CLAUDE.headers() == ()


@pytest.mark.parametrize("entry", RECORDED_OF_CLAUDE, ids=by_id)
def test_recorded_claude(entry: Entry):
    exchange = entry.load()
    url, sent = exchange.data["request"]["url"], exchange.request_json
    model = url.rpartition("/")[2].partition(":")[0]
    request = ANTHROPIC.decode_request(json.dumps({**sent, "model": model}).encode())
    known = {key: value for key, value in request.extra.get("anthropic_messages", {}).items() if key != "anthropic_version"}
    assert not known
    made = CLAUDE.encode_request(request).body
    assert {key: made[key] for key in ("anthropic_version", "max_tokens", "messages")} == {
        key: sent[key] for key in ("anthropic_version", "max_tokens", "messages")
    }
    assert "model" not in made
    assert url.endswith(CLAUDE.path(model, stream=entry.streaming))
    if entry.streaming:
        decoder = CLAUDE.stream_decoder()
        events = [*decoder.feed(exchange.response_bytes), *decoder.close()]
        assert isinstance(events[-1], ev.ResponseEnd)
        response = assemble(events)
    else:
        response = CLAUDE.decode_response(exchange.response_bytes)
    assert response.choices[0].parts
    assert response.usage.output_tokens > 0
