"""Vectors by those who do not speak OpenAI's dialect, or speak it with quirks: Cohere, Perplexity, Voyage, Jina, Mistral."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from dragoman.core.errors import BadRequestError, NotFoundError, ResponseDecodeError, error_for
from dragoman.core.operations import Embedding, EmbeddingRequest
from dragoman.dialects import embeddings, registry
from dragoman.dialects.cohere_embeddings import DIALECT as COHERE
from dragoman.dialects.perplexity_embeddings import DIALECT as PERPLEXITY
from dragoman.engine.call import Call
from dragoman.engine.prepare import prepare
from dragoman.providers.registry import resolve
from dragoman.router.deployment import Deployment
from support.recordings import Entry, exchanges

RECORDED = [*exchanges("embed_v1"), *exchanges("embed_v2")]
"""Version 1 is not dead: models of today answer there. It is read here and spoken no more, as version 2 takes the same."""
ANSWERS = [entry for entry in RECORDED if entry.status == 200]


def reply(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


# ------------------------------------------------------------------------------------------------------------------ Cohere
@pytest.mark.parametrize("entry", ANSWERS, ids=lambda entry: entry.id)
def test_recorded_answers_of_cohere(entry: Entry) -> None:
    recorded = entry.load()
    answer = COHERE.decode_response(recorded.response_bytes)
    value = recorded.response_json
    held = value["embeddings"]
    (vectors,) = held.values() if isinstance(held, dict) else (held,)
    assert [list(item.vector) for item in answer.embeddings] == vectors
    assert [item.index for item in answer.embeddings] == list(range(len(value["texts"])))
    assert answer.usage.input_tokens == value["meta"]["billed_units"]["input_tokens"]
    assert (answer.id, answer.extra) == (value["id"], {})


@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry.id)
def test_recorded_requests_of_cohere_lose_nothing(entry: Entry) -> None:
    sent = {key: value for key, value in entry.load().request_json.items() if value is not None}
    ours = {"model", "texts", "output_dimension"}
    request = EmbeddingRequest(
        model=sent["model"],
        input=tuple(sent["texts"]),
        dimensions=sent.get("output_dimension"),
        extra={"openai_embeddings": {key: value for key, value in sent.items() if key not in ours}},
    )
    written, warnings, _ = COHERE.encode_request(request)
    # Deliberate difference: the kind of vector, which version 1 has a default for, is always said.
    assert (written, warnings) == ({"embedding_types": ["float"], **sent}, ())


@pytest.mark.parametrize("entry", [entry for entry in RECORDED if entry.status != 200], ids=lambda entry: entry.id)
def test_recorded_failures_of_cohere(entry: Entry) -> None:
    recorded = entry.load()
    detail = COHERE.decode_error(recorded.status, recorded.response_bytes)
    assert isinstance(error_for(recorded.status, detail), NotFoundError)
    assert detail.message == recorded.response_json["message"]


def test_what_cohere_is_told_by_an_openai_client() -> None:
    request = EmbeddingRequest(model="m", input=("a",), dimensions=8, encoding_format="base64", user="u")
    encoded = COHERE.encode_request(request)
    assert encoded.body == {
        "model": "m",
        "texts": ["a"],
        "input_type": "search_document",
        "embedding_types": ["base64"],
        "output_dimension": 8,
    }
    assert [warning.field for warning in encoded.warnings] == ["user"]


def test_cohere_takes_no_token_lists() -> None:
    with pytest.raises(BadRequestError, match="input: Cohere takes texts, no token lists"):
        COHERE.encode_request(EmbeddingRequest(model="m", input=((1, 2),)))


def test_of_several_kinds_of_vector_floats_are_the_answer_and_the_others_are_kept() -> None:
    held = {"int8": [[1, -2]], "float": [[0.5, 0.25]], "base64": None}
    answer = COHERE.decode_response(reply(id="i", embeddings=held))
    assert answer.embeddings == (Embedding(index=0, vector=(0.5, 0.25)),)
    assert answer.extra == {"cohere_embeddings": {"embeddings": {"int8": [[1, -2]]}}}


@pytest.mark.parametrize("held", [None, 3, {}, {"float": None}, {"float": [["a"]]}, [[None]]])
def test_answers_of_cohere_without_vectors(held: Any) -> None:
    with pytest.raises(ResponseDecodeError, match="the answer holds no vectors"):
        COHERE.decode_response(reply(embeddings=held))


# -------------------------------------------------------------------------------------------------------------- Perplexity
@pytest.mark.parametrize("entry", exchanges("embeddings", provider="perplexity"), ids=lambda entry: entry.id)
def test_recorded_bytes_of_perplexity_are_numbers(entry: Entry) -> None:
    recorded = entry.load()
    answer = PERPLEXITY.decode_response(recorded.response_bytes)
    packed = base64.b64decode(recorded.response_json["data"][0]["embedding"])
    (vector,) = (item.vector for item in answer.embeddings)
    assert bytes(int(number) & 0xFF for number in vector) == packed
    assert min(vector) >= -128
    assert max(vector) <= 127
    assert answer.usage.input_tokens == recorded.response_json["usage"]["prompt_tokens"]


@pytest.mark.parametrize("wanted", [None, "float", "base64"])
def test_a_client_gets_the_form_it_asked_for_from_perplexity(wanted: str | None) -> None:
    request = EmbeddingRequest(model="m", input=("a",), encoding_format=wanted)
    assert PERPLEXITY.encode_request(request).body == {"model": "m", "input": ("a",)}
    answer = PERPLEXITY.decode_response(reply(data=[{"index": 0, "embedding": base64.b64encode(b"\x01\xff").decode()}]))
    body, media_type = embeddings.DIALECT.encode_answer(answer, request, now=0)
    (item,) = json.loads(body)["data"]
    packed = base64.b64encode(struct.pack("<2f", 1, -1)).decode()
    assert (item["embedding"], media_type) == (packed if wanted == "base64" else [1.0, -1.0], "application/json")


def test_what_perplexity_sends_that_is_no_base64() -> None:
    with pytest.raises(ResponseDecodeError, match=r"data\[0\]\.embedding is no base64"):
        PERPLEXITY.decode_response(reply(data=[{"index": 0, "embedding": "%"}]))


def test_perplexity_takes_no_user_and_says_so() -> None:
    encoded = PERPLEXITY.encode_request(EmbeddingRequest(model="m", input=("a",), user="u"))
    assert (encoded.body, [warning.field for warning in encoded.warnings]) == ({"model": "m", "input": ("a",)}, ["user"])


# ------------------------------------------------------------------------------------------------------ quirks of the rows
FULL = {"input": ["a"], "dimensions": 8, "encoding_format": "float", "user": "u"}
KEYS = dict.fromkeys(("VOYAGE_API_KEY", "JINA_API_KEY", "MISTRAL_API_KEY", "COHERE_API_KEY"), "key-of-the-vendor")
KEYS |= {"PERPLEXITY_API_KEY": "key-of-the-vendor", "TEI_API_BASE": "http://localhost:8080"}


def prepared(model: str) -> Any:
    call = Call(
        operation="embedding",
        dialect="openai_embeddings",
        model=model,
        body=reply(model=model, **FULL),
        deployments=(),
    )
    return prepare(call, Deployment(resolve(model, env=KEYS)))


@pytest.mark.parametrize(
    ("model", "url", "body", "lost"),
    [
        (
            "voyage/voyage-3.5",
            "https://api.voyageai.com/v1/embeddings",
            {"model": "voyage-3.5", "input": ["a"], "output_dimension": 8, "encoding_format": None},
            ["user"],
        ),
        (
            "jina_ai/jina-embeddings-v3",
            "https://api.jina.ai/v1/embeddings",
            {"model": "jina-embeddings-v3", "input": ["a"], "dimensions": 8, "embedding_type": "float"},
            ["user"],
        ),
        (
            "mistral/codestral-embed",
            "https://api.mistral.ai/v1/embeddings",
            {"model": "codestral-embed", "input": ["a"], "output_dimension": 8, "encoding_format": "float"},
            ["user"],
        ),
        (
            "cohere/embed-v4.0",
            "https://api.cohere.com/v2/embed",
            {
                "model": "embed-v4.0",
                "texts": ["a"],
                "input_type": "search_document",
                "embedding_types": ["float"],
                "output_dimension": 8,
            },
            ["user"],
        ),
        (
            "perplexity/pplx-embed-v1-0.6b",
            "https://api.perplexity.ai/v1/embeddings",
            {"model": "pplx-embed-v1-0.6b", "input": ["a"], "dimensions": 8},
            ["user"],
        ),
        ("tei/m", "http://localhost:8080/v1/embeddings", {"model": "m", **FULL}, []),
    ],
)
def test_what_a_row_makes_of_a_request(model: str, url: str, body: dict[str, Any], lost: list[str]) -> None:
    made = prepared(model)
    assert (made.request.url, json.loads(made.request.body)) == (url, body)
    assert [warning.field for warning in made.warnings] == lost


def test_names() -> None:
    assert registry.get("cohere_embeddings") is COHERE
    assert registry.get("perplexity_embeddings") is PERPLEXITY
