"""The openai_embeddings dialect, by recordings of every provider that speaks it, a table of bad input, and properties."""

from __future__ import annotations

import base64
import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.chat import Usage
from dragoman.core.errors import AuthenticationError, BadRequestError, RateLimitError, ResponseDecodeError
from dragoman.core.json import decode_envelope
from dragoman.core.operations import Embedding, EmbeddingRequest, EmbeddingResponse
from dragoman.dialects import registry
from dragoman.dialects.embeddings import DIALECT, with_encoding
from support.recordings import exchanges


def body(**fields):
    return json.dumps(fields).encode()


# ----------------------------------------------------------------------------------------------------------- recordings
OTHER_DIALECTS = {"gemini", "vertex"}
NO_EMBEDDINGS = {"openai-embeddings-plain-68fc4e01"}  # an organisation's usage report that lies under the same endpoint
RECORDED = [
    entry for entry in exchanges("embeddings") if entry.provider not in OTHER_DIALECTS and entry.id not in NO_EMBEDDINGS
]
ANSWERS = [entry for entry in RECORDED if entry.status == 200]


BAD_REQUESTS = {"openai-embeddings-error_400-e3e57e38": "dimensions: expected an integer from 1, found integer -1"}
REQUESTS = [entry for entry in RECORDED if entry.load().request_json is not None]


@pytest.mark.parametrize("entry", [entry for entry in REQUESTS if entry.id not in BAD_REQUESTS], ids=lambda entry: entry.id)
def test_recorded_requests_lose_nothing(entry):
    sent = entry.load().request_json
    written, warnings, _ = DIALECT.encode_request(DIALECT.decode_request(body(**sent)))
    assert warnings == ()
    assert json.loads(json.dumps(written)) == as_we_say_it(sent)


@pytest.mark.parametrize("entry", [entry for entry in REQUESTS if entry.id in BAD_REQUESTS], ids=lambda entry: entry.id)
def test_what_the_provider_refused_we_refuse_too(entry):
    with pytest.raises(BadRequestError, match=BAD_REQUESTS[entry.id]):
        DIALECT.decode_request(body(**entry.load().request_json))


def as_we_say_it(sent):
    """Deliberate differences: null is the same as absent; one text, or one array of token ids, is an array of one."""
    said = {key: value for key, value in sent.items() if value is not None}
    if isinstance(said["input"], str) or isinstance(said["input"][0], int):
        said["input"] = [said["input"]]
    return said


@pytest.mark.parametrize("entry", ANSWERS, ids=lambda entry: entry.id)
def test_recorded_answers_come_through(entry):
    recorded = entry.load()
    answer = DIALECT.decode_response(recorded.response_bytes)
    assert answer.warnings == ()
    assert [item.vector if isinstance(item.vector, str) else list(item.vector) for item in answer.embeddings] == [
        item["embedding"] for item in recorded.response_json["data"]
    ]
    assert json.loads(DIALECT.encode_response(answer, now=0)) == as_we_answer(recorded.response_json)
    assert answer.usage == DIALECT.read_usage(recorded.response_bytes)
    assert answer.usage.total_tokens == recorded.response_json["usage"]["total_tokens"]


def as_we_answer(recorded):
    """Deliberate differences: `object` and `model` always stand there; counts that are nothing (null, or no output at all)
    do not; prompt_tokens is the total where a provider (Voyage) reports nothing else."""
    usage = {key: value for key, value in recorded["usage"].items() if value is not None}
    usage.setdefault("prompt_tokens", usage["total_tokens"])
    if usage.get("completion_tokens") == 0:
        del usage["completion_tokens"]
    return {"object": "list", "model": "", **recorded, "usage": usage}


FLOATS = [entry for entry in ANSWERS if entry.provider != "perplexity"]  # its base64 holds signed bytes, not float32


@pytest.mark.parametrize("entry", FLOATS, ids=lambda entry: entry.id)
def test_recorded_vectors_survive_the_other_form(entry):
    answer = DIALECT.decode_response(entry.load().response_bytes)
    numbers = with_encoding(answer, "float")
    packed = with_encoding(numbers, "base64")
    assert all(len(base64.b64decode(item.vector)) == 4 * len(numbers.embeddings[0].vector) for item in packed.embeddings)
    for there, back in zip(numbers.embeddings, with_encoding(packed, None).embeddings, strict=True):
        assert back.vector == pytest.approx(there.vector, rel=1e-6, abs=1e-12)


# -------------------------------------------------------------------------------------------------------- golden: request
@pytest.mark.parametrize(
    ("given", "held"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ([1, 2], ((1, 2),)),
        ([[1], [2, 3]], ((1,), (2, 3))),
    ],
)
def test_inputs(given, held):
    assert DIALECT.decode_request(body(model="m", input=given)).input == held


def test_a_full_request_there_and_back():
    sent = {"model": "m", "input": ["a"], "dimensions": 8, "encoding_format": "base64", "user": "u", "input_type": "query"}
    request = DIALECT.decode_request(body(**sent))
    assert request == EmbeddingRequest(
        model="m",
        input=("a",),
        dimensions=8,
        encoding_format="base64",
        user="u",
        extra={"openai_embeddings": {"input_type": "query"}},
    )
    assert DIALECT.encode_request(request).body == {**sent, "input": ("a",)}


def test_foreign_extra_is_reported():
    request = EmbeddingRequest(model="m", input=("a",), extra={"gemini": {"title": "t"}})
    written, warnings, _ = DIALECT.encode_request(request)
    assert written == {"model": "m", "input": ("a",)}
    assert [warning.field for warning in warnings] == ["extra.gemini.title"]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"{", "the body is no JSON"),
        (b"[" * 100_000, "the body is no JSON"),
        (b'"\xff"', "the body is no JSON"),
        (b"[1]", "the body: expected an object with `model` and `input`, found array [1]"),
        (body(input="a"), "model: expected a string that is not empty, found nothing"),
        (body(model=7, input="a"), "model: expected a string that is not empty, found integer 7"),
        (body(model="m"), "input: expected a text, an array of texts"),
        (body(model="m", input={"a": 1}), "input: expected a text, an array of texts, an array of token ids or an array of "),
        (body(model="m", input=[]), "none of them an empty array, found array []"),
        (body(model="m", input=[None]), "input[0]: expected a string, an integer or an array of integers, found nothing"),
        (body(model="m", input=[True]), "input[0]: expected a string, an integer or an array of integers, found boolean true"),
        (body(model="m", input=["a", 1]), "input[1]: expected a string, as the first item is, found integer 1"),
        (body(model="m", input=[1, "a"]), 'input[1]: expected an integer, as the first item is, found string "a"'),
        (body(model="m", input=[[1], []]), "input[1]: expected an array of integers that is not empty, found array []"),
        (body(model="m", input=[[1], [2, 0.5]]), "input[1][1]: expected an integer, found number 0.5"),
        (body(model="m", input=[[1], "a"]), "input[1]: expected an array of integers, as the first item is, found string"),
        (body(model="m", input="a", dimensions=0), "dimensions: expected an integer from 1, found integer 0"),
        (body(model="m", input="a", dimensions=True), "dimensions: expected an integer from 1, found boolean true"),
        (body(model="m", input="a", encoding_format="hex"), 'encoding_format: expected float or base64, found string "hex"'),
        (body(model="m", input="a", encoding_format=[1]), "encoding_format: expected float or base64, found array [1]"),
        (body(model="m", input="a", user=1), "user: expected a string, found integer 1"),
    ],
)
def test_bad_requests_name_place_find_and_expectation(sent, said):
    with pytest.raises(BadRequestError) as caught:
        DIALECT.decode_request(sent)
    assert said in caught.value.message
    if ": expected" in said and not said.startswith("the body"):
        assert caught.value.param == said.partition(":")[0]


def test_a_bad_value_is_quoted_but_not_at_length():
    with pytest.raises(BadRequestError) as caught:
        DIALECT.decode_request(body(model="m", input={"text": "x" * 1000}))
    assert len(caught.value.message) < 250


# ------------------------------------------------------------------------------------------------------- golden: response
ANSWER = {
    "object": "list",
    "data": [
        {"object": "embedding", "index": 0, "embedding": [0.5, 1]},
        {"object": "embedding", "index": 1, "embedding": "AAA"},
    ],
    "model": "m",
    "usage": {"prompt_tokens": 3, "total_tokens": 3},
}


def test_a_response_there_and_back():
    answer = DIALECT.decode_response(body(**ANSWER))
    assert answer == EmbeddingResponse(
        model="m",
        embeddings=(Embedding(index=0, vector=(0.5, 1.0)), Embedding(index=1, vector="AAA")),
        usage=Usage(input_tokens=3),
    )
    assert json.loads(DIALECT.encode_response(answer, now=0)) == ANSWER


def test_vectors_come_in_the_order_of_the_inputs():
    answer = DIALECT.decode_response(body(data=[{"index": 1, "embedding": [2]}, {"index": 0, "embedding": [1]}]))
    assert [item.vector for item in answer.embeddings] == [(1.0,), (2.0,)]


def test_what_has_no_place_is_reported():
    answer = DIALECT.decode_response(body(data=[{"index": 0, "embedding": [1], "sparse": {}}]))
    assert [warning.field for warning in answer.warnings] == ["data[0].sparse"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "no JSON"),
        (b"<html>", "no JSON"),
        (b"[]", "no object with an array `data`"),
        (body(data=None), "no object with an array `data`"),
        (body(data=[1]), "data[0] is no object but integer"),
        (body(data=[{"index": 0}]), "data[0].embedding is no vector"),
        (body(data=[{"embedding": [1]}, {"embedding": ["a"]}]), "data[1].embedding is no vector"),
    ],
)
def test_senseless_answers(answer, said):
    with pytest.raises(ResponseDecodeError) as caught:
        DIALECT.decode_response(answer)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (body(error={"message": "slow down", "code": 429}), RateLimitError),
        (body(error={"message": "who?", "code": "invalid_api_key"}), AuthenticationError),
    ],
)
def test_an_error_inside_a_200_is_raised_as_what_it_stands_for(answer, error):
    with pytest.raises(error):
        DIALECT.decode_response(answer)


@pytest.mark.parametrize(("answer", "usage"), [(b"", None), (b"[]", None), (b'{"usage": 3}', None), (b'{"a": [1]}', None)])
def test_no_usage(answer, usage):
    assert DIALECT.read_usage(answer) is usage


# --------------------------------------------------------------------------------------------------------------- encoding
def one(vector):
    return EmbeddingResponse(model="m", embeddings=(Embedding(index=0, vector=vector),))


def test_base64_is_little_endian_float32():
    assert with_encoding(one((1.0, -2.5)), "base64").embeddings[0].vector == "AACAPwAAIMA="


def test_the_wanted_form_is_left_alone():
    there = one((0.1,))
    assert with_encoding(there, "float") is there
    assert with_encoding(there, None) is there


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20).map(tuple))
def test_float32_survives_both_ways(vector):
    assert with_encoding(with_encoding(one(vector), "base64"), "float") == one(vector)


@pytest.mark.parametrize(
    ("vector", "wanted"),
    [
        ("AAAA", "float"),  # three bytes
        ("not base64!", "float"),
        (base64.b64encode(struct.pack("<f", float("nan"))).decode(), "float"),
        ((1e300,), "base64"),
    ],
)
def test_vectors_that_cannot_be_converted(vector, wanted):
    with pytest.raises(ResponseDecodeError, match=r"data\[0\]\.embedding"):
        with_encoding(one(vector), wanted)


# ---------------------------------------------------------------------------------------------------------- relay, names
def test_the_relay_edits_the_model_and_nothing_else():
    sent = b'{"input": ["\\u00e4" ,1e0], "model": "public", "x": {"y":1.50}}'
    edited = DIALECT.edit_request(decode_envelope(sent), model="private", want_usage=True)
    assert {key: bytes(value) for key, value in edited.items()} == {
        "input": b'["\\u00e4" ,1e0]',
        "model": b'"private"',
        "x": b'{"y":1.50}',
    }


def test_names():
    assert registry.get("openai_embeddings") is DIALECT
    assert DIALECT.path("m") == DIALECT.path("m", stream=False) == "/embeddings"
    assert DIALECT.headers() == ()
