"""`LiteLLMEmbeddings`: what is sent, in which batches, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from langchain_core.exceptions import ModelAuthenticationError
from pydantic import ValidationError

import dragoman
from dragoman import AsyncClient, Client
from dragoman.core.http import HttpResponse
from dragoman.langchain import LiteLLMEmbeddings
from dragoman.transport.replay import AsyncReplayTransport, ReplayTransport
from support.langchain import ENV, vectors


def embeddings(**given: Any) -> tuple[LiteLLMEmbeddings, ReplayTransport]:
    transport = ReplayTransport(choose=vectors)
    given.setdefault("async_client", AsyncClient(transport=AsyncReplayTransport(choose=vectors), env=ENV))
    return LiteLLMEmbeddings(client=Client(transport=transport, env=ENV), **given), transport


def bodies(transport: ReplayTransport) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in transport.requests]


def test_long_lists_go_in_batches_and_come_in_order() -> None:
    made, transport = embeddings(chunk_size=2)
    texts = ["a", "bb", "ccc", "dddd", "eeeee"]
    assert [vector[0] for vector in made.embed_documents(texts)] == [1, 2, 3, 4, 5]
    assert [len(body["input"]) for body in bodies(transport)] == [2, 2, 1]


def test_no_texts_are_no_request() -> None:
    made, transport = embeddings()
    assert made.embed_documents([]) == []
    assert transport.requests == []


async def test_async_gives_the_same() -> None:
    made, _ = embeddings(chunk_size=2)
    assert await made.aembed_documents(["a", "bb", "ccc"]) == made.embed_documents(["a", "bb", "ccc"])
    assert await made.aembed_query("a") == made.embed_query("a")


def test_parameters_and_headers() -> None:
    made, transport = embeddings(
        dimensions=2, query_input_type="query", document_input_type="document", organization="org", model_kwargs={"user": "u"}
    )
    made.embed_query("a")
    made.embed_documents(["a"])
    query, document = bodies(transport)
    assert (query["dimensions"], query["user"], query["input_type"], document["input_type"]) == (2, "u", "query", "document")
    assert dict(transport.requests[0].headers)["openai-organization"] == "org"


def test_both_spellings() -> None:
    assert LiteLLMEmbeddings(base_url="https://x.test").api_base == "https://x.test"
    assert LiteLLMEmbeddings(timeout=3).request_timeout == 3


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"chunksize": 3}, "has no chunksize; put what the provider is to have into model_kwargs"),
        ({"encoding_format": "base64"}, "encoding_format"),
        ({"dimensions": 0}, "greater than 0"),
    ],
)
def test_what_makes_no_sense(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        LiteLLMEmbeddings(**given)


def test_a_refused_argument_is_named_without_its_value() -> None:
    with pytest.raises(ValidationError) as caught:
        LiteLLMEmbeddings(openai_key="sk-secret")
    assert "openai_key" in str(caught.value)
    assert "sk-secret" not in str(caught.value)
    assert "sk-secret" not in repr(LiteLLMEmbeddings(api_key="sk-secret"))


def test_errors_are_typed() -> None:
    transport = ReplayTransport(HttpResponse(status=401, body=b'{"error": {"message": "no"}}'))
    made = LiteLLMEmbeddings(client=Client(transport=transport, env=ENV))
    with pytest.raises(dragoman.AuthenticationError) as caught:
        made.embed_query("a")
    assert isinstance(caught.value, ModelAuthenticationError)
