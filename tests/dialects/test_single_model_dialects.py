"""Hugging Face's single models and Ollama's prompts: what is sent, what is answered, in every slicing, and what is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dragoman.core import events as ev
from dragoman.core.assemble import assemble
from dragoman.core.chat import ChatRequest, ToolChoice
from dragoman.core.errors import BadRequestError, ResponseDecodeError, UnprocessableEntityError, UnsupportedParamsError
from dragoman.core.operations import EmbeddingRequest, RerankRequest
from dragoman.dialects import registry
from support.recordings import Entry, exchanges
from support.replaying import dialect_of
from support.slicing import byte_by_byte, cut, cut_places

GENERATE, TEXTS = registry.get("ollama_generate"), registry.get("huggingface_completions")
VECTORS, RANKS = registry.get("huggingface_embeddings"), registry.get("huggingface_rerank")
COMPLETIONS = registry.get("openai_completions")


def asked(**fields: Any) -> ChatRequest:
    """A text completion as a program asks for it."""
    return COMPLETIONS.decode_request(json.dumps({"model": "org/m", "prompt": "Once", **fields}).encode())


REQUESTS = [
    (
        TEXTS,
        {"max_tokens": 5, "temperature": 0.5, "stop": "END", "seed": 1, "do_sample": True, "stream": True},
        {
            "inputs": "Once",
            "parameters": {
                "return_full_text": False,
                "max_new_tokens": 5,
                "temperature": 0.5,
                "seed": 1,
                "stop": ["END"],
                "do_sample": True,
            },
            "stream": True,
        },
        [],
    ),
    (
        TEXTS,
        {"echo": True, "options": {"use_cache": False}, "n": 2, "logit_bias": {"1": 5}},
        {"inputs": "Once", "parameters": {"return_full_text": True}, "options": {"use_cache": False}},
        ["n", "logit_bias"],
    ),
    (
        GENERATE,
        {"max_tokens": 5, "suffix": "the end", "raw": True, "num_ctx": 64, "best_of": 2},
        {
            "model": "org/m",
            "prompt": "Once",
            "stream": False,
            "suffix": "the end",
            "raw": True,
            "options": {"num_predict": 5, "num_ctx": 64},
        },
        ["best_of"],
    ),
]


@pytest.mark.parametrize(("dialect", "said", "body", "lost"), REQUESTS)
def test_a_text_completion_is_sent_as(dialect: Any, said: dict[str, Any], body: dict[str, Any], lost: list[str]) -> None:
    encoded = dialect.encode_request(asked(**said))
    assert encoded.body == body
    assert [warning.field for warning in encoded.warnings] == lost


@pytest.mark.parametrize("dialect", [TEXTS, GENERATE])
@pytest.mark.parametrize("prompt", [["one", "two"], [1, 2]])
def test_several_prompts_are_refused(dialect: Any, prompt: Any) -> None:
    with pytest.raises(UnsupportedParamsError, match="takes one prompt of text"):
        dialect.encode_request(asked(prompt=prompt))


@pytest.mark.parametrize("dialect", [TEXTS, GENERATE])
def test_tools_are_left_out_with_a_warning(dialect: Any) -> None:
    request = replace(asked(), tool_choice=ToolChoice(mode="required"))
    assert [warning.field for warning in dialect.encode_request(request).warnings] == ["tool_choice"]


def test_the_paths() -> None:
    assert TEXTS.path("google/flan-t5", stream=True) == "/models/google/flan-t5"
    assert VECTORS.path("a/b") == "/models/a/b/pipeline/feature-extraction"
    assert RANKS.path("a/b") == "/models/a/b/pipeline/sentence-similarity"
    assert GENERATE.path("m", stream=True) == "/api/generate"
    with pytest.raises(BadRequestError, match="expected a name"):
        TEXTS.path("../secrets", stream=False)


def test_vectors_and_ranks_are_asked_for() -> None:
    request = EmbeddingRequest(model="m", input=("a", "b"), dimensions=3, extra={"openai_embeddings": {"normalize": True}})
    encoded = VECTORS.encode_request(request)
    assert encoded.body == {"inputs": ["a", "b"], "normalize": True}
    assert [warning.field for warning in encoded.warnings] == ["dimensions"]
    with pytest.raises(BadRequestError, match="takes texts, no token lists"):
        VECTORS.encode_request(EmbeddingRequest(model="m", input=((1, 2),)))
    ranked = RANKS.encode_request(RerankRequest(model="m", query="q", documents=("a", {"text": "b"}), max_tokens_per_doc=9))
    assert ranked.body == {"inputs": {"source_sentence": "q", "sentences": ["a", "b"]}}
    assert [warning.field for warning in ranked.warnings] == ["max_tokens_per_doc"]


def test_vectors_and_ranks_are_answered() -> None:
    assert [item.vector for item in VECTORS.decode_response(b"[0.5, 1]").embeddings] == [(0.5, 1.0)]
    assert [item.vector for item in VECTORS.decode_response(b"[[0.5], [1]]").embeddings] == [(0.5,), (1.0,)]
    found = RANKS.decode_response(b"[0.1, 0.9]").results
    assert [(result.index, result.relevance_score) for result in found] == [(1, 0.9), (0, 0.1)]


NONSENSE = [b"", b"{}", b"null", b"[]", b"[{}]", b'"x"', b"[[[1]]]", b"\xff", b"[1", b'[{"generated_text": 5}]']


@pytest.mark.parametrize("body", NONSENSE)
@pytest.mark.parametrize("dialect", [TEXTS, GENERATE, VECTORS, RANKS], ids=lambda dialect: dialect.name)
def test_what_makes_no_sense_is_told(dialect: Any, body: bytes) -> None:
    if body == b"[]" and dialect in (VECTORS, RANKS):
        return  # nothing for nothing
    with pytest.raises(ResponseDecodeError):
        dialect.decode_response(body)


@given(st.binary(max_size=60))
def test_garbage_in_a_stream_is_an_error_and_no_exception(data: bytes) -> None:
    for dialect in (TEXTS, GENERATE):
        decoder = dialect.stream_decoder()
        assert isinstance([*decoder.feed(data), *decoder.close()][-1], ev.StreamError)


def test_a_failure_inside_a_200_is_what_it_says() -> None:
    body = b'{"error": "Input validation error: too much", "error_type": "validation"}'
    with pytest.raises(UnprocessableEntityError, match="too much"):
        TEXTS.decode_response(body)


def test_details_tell_the_end_and_the_counts() -> None:
    details = {"finish_reason": "length", "generated_tokens": 4, "prefill": [{}, {}]}
    response = TEXTS.decode_response(json.dumps([{"generated_text": "x", "details": details}]).encode())
    assert response.choices[0].finish.reason == "length"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (2, 4)


# ---------------------------------------------------------------------------------------------------------------- recordings
def spoken(entry: Entry) -> Any:
    name = dialect_of(entry, entry.load())
    return registry.get(name) if isinstance(name, str) else None


STREAMS = [entry for kind in ("hf_task", "api_generate") for entry in exchanges(kind, streaming=True) if spoken(entry)]


def decoded(dialect: Any, pieces: list[bytes]) -> list[ev.Event]:
    decoder = dialect.stream_decoder()
    return [event for piece in pieces for event in decoder.feed(piece)] + decoder.close()


@pytest.mark.parametrize("entry", STREAMS, ids=lambda entry: entry.id)
def test_recorded_streams_in_every_slicing(entry: Entry) -> None:
    data, dialect = entry.load().response_bytes, spoken(entry)
    whole = decoded(dialect, [data])
    assert decoded(dialect, byte_by_byte(data)) == whole
    if isinstance(whole[-1], ev.ResponseEnd):
        assert assemble(whole).choices[0].parts
    else:
        assert entry.kind[1] == "stream_error"


@given(cut_places)
def test_streams_cut_anywhere(places: list[int]) -> None:
    tokens = [{"token": {"text": word, "special": False}, "generated_text": None} for word in ("Good", " day")]
    end = {"token": {"text": "</s>", "special": True}, "generated_text": "Good day", "details": None}
    data = b"".join(b"data:" + json.dumps(line).encode() + b"\n\n" for line in [*tokens, end])
    events = decoded(TEXTS, cut(data, places))
    assert events == decoded(TEXTS, [data])
    assert assemble(events).choices[0].finish.native == "eos_token"
