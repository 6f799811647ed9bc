"""Reranking, moderation, OCR, decisions, token counts: from the arguments to the objects, sync and async, by played answers."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import openai
import pytest

from dragoman import AsyncClient, Client
from dragoman.client import operations
from dragoman.client.operation_calls import AsyncOperationCalls, OperationCalls
from dragoman.core.errors import BadRequestError, RateLimitError, ResponseDecodeError, UnsupportedParamsError
from dragoman.core.http import HttpResponse, header
from dragoman.transport.replay import AsyncReplayTransport, ReplayTransport

ENV = {
    f"{name}_API_KEY": f"key-of-{name.lower()}"
    for name in ("OPENAI", "COHERE", "VOYAGE", "JINA", "MISTRAL", "ANTHROPIC", "TYPESAFE", "GEMINI", "GROQ")
} | {
    "TEI_API_BASE": "http://localhost:8080",
    "LITELLM_PROXY_API_BASE": "http://localhost:4000/v1",
    "VERTEXAI_PROJECT": "mine",
    "VERTEXAI_LOCATION": "europe-west4",
    "VERTEXAI_ACCESS_TOKEN": "token",
}
RANKED = {
    "id": "i",
    "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
}
JUDGED = {
    "id": "modr-1",
    "model": "omni-moderation-latest",
    "results": [{"flagged": True, "categories": {"hate": True}, "category_scores": {"hate": 0.9}}],
}
USAGE = {"input_tokens": 9, "output_tokens": 2}


class Calls(Client, OperationCalls):
    """A client with these calls."""


class AsyncCalls(AsyncClient, AsyncOperationCalls):
    """As Calls."""


def reply(body: Any, status: int = 200) -> HttpResponse:
    return HttpResponse(status=status, headers=(("content-type", "application/json"),), body=json.dumps(body).encode())


def caller(*answers: HttpResponse, **defaults: Any) -> tuple[Calls, ReplayTransport]:
    transport = ReplayTransport(*answers)
    return Calls(transport=transport, env=ENV, **{"num_retries": 0, **defaults}), transport


def sent(transport: ReplayTransport | AsyncReplayTransport) -> Any:
    (request,) = transport.requests
    return json.loads(request.body)


# --------------------------------------------------------------------------------------------------------------- reranking
def test_rerank() -> None:
    client, transport = caller(reply(RANKED))
    response = client.rerank("cohere/rerank-v3.5", "q", ["a", "b"], top_n=2)
    assert [(result.index, result.relevance_score, result["document"]) for result in response.results] == [
        (1, 0.9, {"text": "b"}),
        (0, 0.1, {"text": "a"}),
    ]
    assert (response.id, response.meta["billed_units"], response.warnings) == ("i", {"search_units": 1}, ())
    assert response._hidden_params["custom_llm_provider"] == "cohere"
    (request,) = transport.requests
    assert (request.url, header(request.headers, "authorization")) == (
        "https://api.cohere.com/v2/rerank",
        "Bearer key-of-cohere",
    )
    assert sent(transport) == {"model": "rerank-v3.5", "query": "q", "documents": ["a", "b"], "top_n": 2}


@pytest.mark.parametrize(
    ("model", "url", "answer"),
    [
        ("voyage/rerank-2", "https://api.voyageai.com/v1/rerank", {"data": RANKED["results"]}),
        ("jina_ai/jina-reranker-v2", "https://api.jina.ai/v1/rerank", {"results": RANKED["results"]}),
        ("tei/any", "http://localhost:8080/rerank", [{"index": 1, "score": 0.9}, {"index": 0, "score": 0.1}]),
    ],
)
def test_rerank_by_others_looks_the_same(model: str, url: str, answer: Any) -> None:
    client, transport = caller(reply(answer))
    response = client.rerank(model, "q", ["a", "b"], top_n=1, return_documents=False)
    assert response.results == [{"index": 1, "relevance_score": 0.9}]
    assert transport.requests[0].url == url


def test_what_a_vendor_cannot_be_told_is_a_warning_or_under_strict_an_error() -> None:
    client, _ = caller(reply({"data": []}))
    response = client.rerank("voyage/rerank-2", "q", ["a"], max_tokens_per_doc=3, max_chunks_per_doc=1)
    assert [warning.field for warning in response.warnings] == ["max_tokens_per_doc", "extra.rerank.max_chunks_per_doc"]
    with pytest.raises(UnsupportedParamsError, match="max_tokens_per_doc"):
        client.rerank("voyage/rerank-2", "q", ["a"], max_tokens_per_doc=3, strict=True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"documents": []}, "documents: expected an array of texts or objects that is not empty"),
        ({"top_n": 0}, "top_n: expected an integer from 1"),
        ({"stream": True}, "stream: not a part of this call"),
        ({"mock_response": "x"}, "mock_response: not a part of this call"),
        ({"fallbacks": ["x"]}, "fallbacks is not supported here"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_sent(arguments: dict[str, Any], said: str) -> None:
    client, transport = caller()
    with pytest.raises(BadRequestError, match=said):
        client.rerank("cohere/rerank-v3.5", "q", **{"documents": ["a"], **arguments})
    assert transport.requests == []


def test_a_provider_that_ranks_nothing() -> None:
    client, _ = caller()
    with pytest.raises(BadRequestError, match=r"groq offers no rerank.*rerank is offered by: .*cohere"):
        client.rerank("groq/any", "q", ["a"])


def test_a_failure_is_openai_s_error_too() -> None:
    client, transport = caller(reply({"message": "slow"}, 429))
    with pytest.raises(openai.RateLimitError, match="slow") as caught:
        client.rerank("cohere/rerank-v3.5", "q", ["a"])
    assert isinstance(caught.value, RateLimitError)
    assert (caught.value.llm_provider, len(transport.requests)) == ("cohere", 1)


# -------------------------------------------------------------------------------------------------------------- moderation
def test_moderation_without_a_model_is_openai_s() -> None:
    client, transport = caller(reply(JUDGED))
    response = client.moderation("text")
    assert (response.results[0].flagged, response.results[0].categories["hate"]) == (True, True)
    assert (response["id"], response.model) == ("modr-1", "omni-moderation-latest")
    assert transport.requests[0].url == "https://api.openai.com/v1/moderations"
    assert sent(transport) == {"model": "omni-moderation-latest", "input": "text"}


def test_moderation_by_mistral() -> None:
    results = [{"categories": {"pii": False}, "category_scores": {"pii": 0.1}}]
    client, transport = caller(reply({"id": "i", "model": "m", "results": results, "usage": {"prompt_tokens": 3}}))
    response = client.moderation(["text"], "mistral/mistral-moderation-latest")
    assert (response.results[0].flagged, response.usage) == (False, {"prompt_tokens": 3, "total_tokens": 3})
    assert sent(transport) == {"model": "mistral-moderation-latest", "input": ["text"]}


# ------------------------------------------------------------------------------------------------------- reading documents
PDF = {"type": "document_url", "document_url": "https://papers.example/a.pdf"}
VERTEX = "https://europe-west4-aiplatform.googleapis.com/v1/projects/mine/locations/europe-west4"
READ = {"pages": [{"index": 0, "markdown": "# Hi", "images": []}], "model": "m", "usage_info": {"pages_processed": 3}}


def test_a_document_is_read() -> None:
    client, transport = caller(reply(READ))
    response = client.ocr("mistral/mistral-ocr-2512", PDF, pages=[0], include_image_base64=True)
    assert (response.pages[0].markdown, response.pages[0].index, response.pages[0].dimensions) == ("# Hi", 0, None)
    assert (response.model, response.usage_info["pages_processed"], response.warnings) == ("m", 3, ())
    assert transport.requests[0].url == "https://api.mistral.ai/v1/ocr"
    assert sent(transport) == {"model": "mistral-ocr-2512", "document": PDF, "pages": [0], "include_image_base64": True}


@pytest.mark.parametrize(
    ("annotated", "dollars"), [({}, 3 * 0.002), ({"document_annotation_format": {"type": "json_object"}}, 3 * 0.003)]
)
def test_pages_are_what_is_paid_for(annotated: dict[str, Any], dollars: float) -> None:
    client, _ = caller(reply(READ))
    response = client.ocr("mistral/mistral-ocr-2512", PDF, **annotated)
    assert response._hidden_params["response_cost"] == pytest.approx(dollars)


@pytest.mark.parametrize(
    ("file", "document"),
    [
        (b"%PDF-1.7", {"type": "document_url", "document_url": "data:application/pdf;base64,JVBERi0xLjc="}),
        (("a.png", b"\x00"), {"type": "image_url", "image_url": "data:image/png;base64,AA=="}),
    ],
)
def test_a_file_is_sent_as_an_address_of_its_own(file: Any, document: dict[str, Any]) -> None:
    client, transport = caller(reply(READ))
    client.ocr("mistral/mistral-ocr-2512", {"type": "file", "file": file})
    assert sent(transport)["document"] == document


def test_a_file_may_be_named_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    client, transport = caller(reply(READ))
    client.ocr("mistral/mistral-ocr-2512", {"type": "file", "file": str(tmp_path / "a.pdf")})
    assert sent(transport)["document"]["document_url"] == "data:application/pdf;base64,JVBERi0xLjc="
    with pytest.raises(BadRequestError, match=r"document\.file: .*b\.pdf"):
        client.ocr("mistral/mistral-ocr-2512", {"type": "file", "file": str(tmp_path / "b.pdf")})


@pytest.mark.parametrize(
    ("model", "url"),
    [
        ("vertex_ai/mistral-ocr-2505", f"{VERTEX}/publishers/mistralai/models/mistral-ocr-2505:rawPredict"),
        ("litellm_proxy/mistral-ocr-2505", "http://localhost:4000/v1/ocr"),
    ],
)
def test_others_read_documents_alike(model: str, url: str) -> None:
    client, transport = caller(reply(READ))
    assert client.ocr(model, PDF, pages=[0]).pages[0].markdown == "# Hi"
    assert transport.requests[0].url == url
    assert sent(transport) == {"model": "mistral-ocr-2505", "document": PDF, "pages": [0]}


def test_who_reads_no_documents_is_not_asked() -> None:
    client, transport = caller()
    with pytest.raises(BadRequestError, match=r"groq offers no ocr.*offered by: .*mistral"):
        client.ocr("groq/any", PDF)
    assert transport.requests == []


# --------------------------------------------------------------------------------------------------------------- decisions
BY_NAME = {"urgent": {"type": "choice", "instructions": "Is it urgent?", "criteria": {"yes": None, "no": "can wait"}}}
IN_ORDER = [{"type": "choice", "instructions": "Urgent?", "choices": [{"value": True}, {"value": False}], "name": "urgent"}]


def test_a_decision_by_a_model_made_for_it() -> None:
    answers = {"urgent": {"type": "choice", "choice": "yes", "probabilities": {"yes": 0.75, "no": 0.25}, "confidence": 0.75}}
    client, transport = caller(reply({"model": "jev-1.13.0", "answers": answers, "usage": USAGE}))
    response = client.decision("typesafe/jev-latest", BY_NAME, state={"mail": "help!"})
    assert (response.answers["urgent"].choice, response.answers["urgent"].probabilities["yes"]) == ("yes", 0.75)
    assert (response.model, response.usage, response.calibrated) == ("jev-1.13.0", USAGE, None)
    assert transport.requests[0].url == "https://api.typesafe.ai/v1/systemone"
    assert sent(transport) == {"model": "jev-latest", "state": {"mail": "help!"}, "questions": BY_NAME}


def test_a_list_of_questions_is_answered_in_order() -> None:
    answers = [{"type": "choice", "name": "urgent", "choice": False, "confidence": 1, "probabilities": []}]
    client, transport = caller(reply({"model": "gpt-6-luna", "answers": answers, "usage": USAGE}))
    response = client.decision("openai/gpt-6-luna", IN_ORDER, input="help!")
    assert (response.answers[0].choice, response.answers[0].name, response.usage["total_tokens"]) == (False, "urgent", 11)
    assert transport.requests[0].url == "https://api.openai.com/v1/decisions"


def chat_answer(content: str) -> HttpResponse:
    message = {"role": "assistant", "content": content}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    return reply({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": usage})


def test_a_decision_by_a_model_that_only_chats() -> None:
    client, transport = caller(chat_answer('{"q1": {"choice": "true", "confidence": 0.75}}'))
    response = client.decision("openai/gpt-4.1", IN_ORDER, input="help!", safety_identifier="u")
    (answer,) = response.answers
    assert (answer.choice, answer.confidence, response.calibrated, response.usage["total_tokens"]) == (True, 0.75, False, 11)
    assert [warning.code for warning in response.warnings if warning.field == "probabilities"] == ["emulated"]
    assert sent(transport)["safety_identifier"] == "u"
    assert transport.requests[0].url == "https://api.openai.com/v1/chat/completions"
    assert sent(transport)["response_format"]["json_schema"]["schema"]["required"] == ["q1"]


def test_a_chat_model_that_answers_nonsense() -> None:
    client, _ = caller(chat_answer("I think so"))
    with pytest.raises(ResponseDecodeError, match="the model was asked for a JSON object"):
        client.decision("openai/gpt-4.1", IN_ORDER, input="help!")


def test_a_decision_without_an_input() -> None:
    client, transport = caller()
    for questions in (IN_ORDER, BY_NAME):
        with pytest.raises(BadRequestError, match="expected a text or"):
            client.decision("openai/gpt-4.1", questions)
    assert transport.requests == []


# ------------------------------------------------------------------------------------------------------------ token counts
MESSAGES = [{"role": "user", "content": "hello there"}]


@pytest.mark.parametrize(
    ("model", "url", "answer"),
    [
        ("anthropic/claude-haiku-4-5", "https://api.anthropic.com/v1/messages/count_tokens", {"input_tokens": 9}),
        ("openai/gpt-4.1", "https://api.openai.com/v1/responses/input_tokens", {"input_tokens": 9}),
        (
            "gemini/gemini-3.5-flash",
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-3.5-flash:countTokens",
            {"totalTokens": 9},
        ),
    ],
)
def test_a_count_by_the_provider(model: str, url: str, answer: Any) -> None:
    client, transport = caller(reply(answer))
    count = client.count_tokens(model, MESSAGES, max_tokens=5)
    assert (count.total_tokens, count.request_model, count.tokenizer_type) == (9, model, "provider")
    assert count.model_used == model.partition("/")[2]
    assert transport.requests[0].url == url


def test_a_count_where_the_provider_counts_not_is_an_estimate() -> None:
    client, transport = caller()
    count = client.count_tokens("groq/llama-3.3-70b-versatile", MESSAGES)
    assert (4 <= count.total_tokens <= 20, count.tokenizer_type, transport.requests) == (True, "estimate", [])


# ------------------------------------------------------------------------------------------------------ async and functions
def test_all_of_them_awaited() -> None:
    async def ask() -> tuple[Any, ...]:
        counted = reply({"input_tokens": 9})
        answers = {"urgent": {"type": "refusal"}}
        decided = reply({"model": "m", "answers": answers, "usage": USAGE})
        transport = AsyncReplayTransport(reply(RANKED), reply(JUDGED), reply(READ), decided, counted)
        async with AsyncCalls(transport=transport, env=ENV) as client:
            return (
                await client.rerank("cohere/rerank-v3.5", "q", ["a", "b"]),
                await client.moderation("text"),
                await client.ocr("mistral/mistral-ocr-2512", PDF),
                await client.decision("typesafe/jev-latest", BY_NAME, state="s"),
                await client.count_tokens("anthropic/claude-haiku-4-5", MESSAGES),
            )

    ranked, judged, found, decided, counted = asyncio.run(ask())
    assert found.pages[0].markdown == "# Hi"
    assert (ranked.results[0].document, judged.results[0].flagged) == ({"text": "b"}, True)
    assert (decided.answers["urgent"].type, counted.total_tokens) == ("refusal", 9)


def test_the_functions_run_on_the_client_that_all_share(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, transport = caller(reply(RANKED), reply(JUDGED), reply({"input_tokens": 9}), reply({"answers": []}))
    monkeypatch.setattr(operations, "_shared", lambda: shared)
    assert operations.rerank("cohere/rerank-v3.5", "q", ["a", "b"]).results[0].index == 1
    assert operations.moderation("text").results[0].flagged
    assert operations.count_tokens("anthropic/claude-haiku-4-5", MESSAGES).total_tokens == 9
    assert operations.decision("openai/gpt-6-luna", IN_ORDER, input="help!").answers[0].type == "refusal"
    assert len(transport.requests) == 4


def test_the_functions_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    transport = AsyncReplayTransport(reply(RANKED), reply(JUDGED), reply({"input_tokens": 9}), reply({"answers": []}))
    shared = AsyncCalls(transport=transport, env=ENV)

    async def the_shared_one() -> AsyncCalls:
        return shared

    async def ask() -> tuple[Any, ...]:
        return (
            (await operations.arerank("cohere/rerank-v3.5", "q", ["a", "b"])).results[0].index,
            (await operations.amoderation("text")).results[0].flagged,
            (await operations.acount_tokens("anthropic/claude-haiku-4-5", MESSAGES)).total_tokens,
            (await operations.adecision("openai/gpt-6-luna", IN_ORDER, input="help!")).answers[0].type,
        )

    monkeypatch.setattr(operations, "_shared_async", the_shared_one)
    assert asyncio.run(ask()) == (1, True, 9, "refusal")
