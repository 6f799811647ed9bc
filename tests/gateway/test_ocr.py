"""Reading documents through the gateway, as LiteLLM's clients ask for it: relayed as it came, paid for by the page."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dragoman.core.chat import Usage
from dragoman.core.http import HttpResponse
from dragoman.engine.call import Call
from dragoman.engine.price import price
from support.whole_gateway import WholeGateway

CONFIG = "models: [{name: reader, model: mistral/mistral-ocr-2512, api_key: k}, {name: chatty, model: openai/gpt-4.1}]"
DOCUMENT = {"type": "document_url", "document_url": "https://papers.example/a.pdf"}
READ = b'{ "pages":[{"index":0,"markdown":"# Hi","images":[],"hyperlinks":[]}],"model":"m","usage_info":{"pages_processed":3}}'


def ask(
    path: str, answer: HttpResponse | None = None, config: str = CONFIG, **fields: Any
) -> tuple[WholeGateway, Any, list[Call]]:
    async def scenario() -> tuple[WholeGateway, Any, list[Call]]:
        served = WholeGateway(config, *([] if answer is None else [answer]))
        ended: list[Call] = []
        served.gateway.routes["POST", b"/v1/ocr"].handler.pipeline.observers += (ended.append,)
        return served, await served.ask("POST", path, {"model": "reader", "document": DOCUMENT, **fields}), ended

    return asyncio.run(scenario())


def answered(body: bytes, status: int = 200) -> HttpResponse:
    return HttpResponse(status=status, headers=(("content-type", "application/json"),), body=body)


@pytest.mark.parametrize("path", ["/ocr", "/v1/ocr"])
def test_the_answer_is_relayed_and_its_pages_are_counted(path: str) -> None:
    served, exchange, (call,) = ask(path, answered(READ), pages=[0])
    assert (exchange.status, exchange.answer) == (200, READ)
    (request,) = served.asked
    assert request.url == "https://api.mistral.ai/v1/ocr"
    assert json.loads(request.body) == {"model": "mistral-ocr-2512", "document": DOCUMENT, "pages": [0]}
    assert call.settlement is not None
    assert call.settlement.usage == Usage(extra={"mistral_ocr": {"pages_processed": 3}})
    found = price(call, call.settlement.usage)
    assert found is not None
    assert (found.nano_dollars, [line.kind for line in found.lines]) == (6_000_000, ["page"])


def test_a_guardrail_reads_the_pages() -> None:
    masked = f"{CONFIG}\nguardrails: [{{name: pii, use: pii, kinds: [email], stage: after, action: mask}}]"
    page = {"index": 0, "markdown": "Write to ann@example.com", "images": [{"id": "i", "image_base64": "YW5uQGV4YW1wbGUuY29t"}]}
    answer = {"pages": [page], "model": "m", "usage_info": {"pages_processed": 1}}
    _, exchange, _ = ask("/v1/ocr", answered(json.dumps(answer).encode()), config=masked)
    assert exchange.value == {**answer, "pages": [{**page, "markdown": "Write to [EMAIL]"}]}


def test_a_refusal_is_told_as_one() -> None:
    _, exchange, _ = ask("/v1/ocr", answered(b'{"message":"no such document","type":"invalid_file"}', 422))
    assert exchange.status == 422
    assert "no such document" in exchange.value["error"]["message"]


def test_who_reads_nothing_is_not_asked() -> None:
    served, exchange, _ = ask("/v1/ocr", model="chatty")
    assert exchange.status == 400
    assert "openai offers no ocr" in exchange.value["error"]["message"]
    assert served.asked == []
