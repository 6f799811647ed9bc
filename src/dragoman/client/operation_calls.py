"""Reranking, moderation, OCR, decisions and token counts as methods of `Client` and `AsyncClient`, which take them up.

What does the work is loaded at the first such call: most programs only chat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dragoman.client.media_calls import AsyncCaller, Caller

if TYPE_CHECKING:
    from dragoman.client.operation_objects import (
        DecisionResponse,
        ModerationResponse,
        OCRResponse,
        RerankResponse,
        TokenCount,
    )

MODERATION_MODEL = "openai/omni-moderation-latest"


def _run(client: Caller, operation: str, model: str, given: dict[str, Any]) -> Any:
    from dragoman.client.operation_run import run  # noqa: PLC0415 - loaded when it is first needed

    return run(client, operation, model, given)


async def _arun(client: AsyncCaller, operation: str, model: str, given: dict[str, Any]) -> Any:
    from dragoman.client.operation_run import arun  # noqa: PLC0415 - loaded when it is first needed

    return await arun(client, operation, model, given)


def _ranked(query: Any, documents: list[Any], given: dict[str, Any]) -> dict[str, Any]:
    """Documents come back unless the caller says otherwise, as in LiteLLM."""
    return {"return_documents": True, **given, "query": query, "documents": documents}


class OperationCalls:
    """For `Client`. See the functions of the same names in `dragoman`."""

    def rerank(self: Caller, model: str, query: Any, documents: list[Any], **given: Any) -> RerankResponse:
        made: RerankResponse = _run(self, "rerank", model, _ranked(query, documents, given))
        return made

    def moderation(self: Caller, input: Any, model: str | None = None, **given: Any) -> ModerationResponse:  # noqa: A002 - OpenAI's name
        made: ModerationResponse = _run(self, "moderation", model or MODERATION_MODEL, {**given, "input": input})
        return made

    def ocr(self: Caller, model: str, document: dict[str, Any], **given: Any) -> OCRResponse:
        made: OCRResponse = _run(self, "ocr", model, {**given, "document": document})
        return made

    def decision(self: Caller, model: str, questions: Any, **given: Any) -> DecisionResponse:
        made: DecisionResponse = _run(self, "decision", model, {**given, "questions": questions})
        return made

    def count_tokens(self: Caller, model: str, messages: list[Any], **given: Any) -> TokenCount:
        made: TokenCount = _run(self, "token_count", model, {**given, "messages": messages})
        return made


class AsyncOperationCalls:
    """For `AsyncClient`, as OperationCalls."""

    async def rerank(self: AsyncCaller, model: str, query: Any, documents: list[Any], **given: Any) -> RerankResponse:
        made: RerankResponse = await _arun(self, "rerank", model, _ranked(query, documents, given))
        return made

    async def moderation(self: AsyncCaller, input: Any, model: str | None = None, **given: Any) -> ModerationResponse:  # noqa: A002 - OpenAI's name
        made: ModerationResponse = await _arun(self, "moderation", model or MODERATION_MODEL, {**given, "input": input})
        return made

    async def ocr(self: AsyncCaller, model: str, document: dict[str, Any], **given: Any) -> OCRResponse:
        made: OCRResponse = await _arun(self, "ocr", model, {**given, "document": document})
        return made

    async def decision(self: AsyncCaller, model: str, questions: Any, **given: Any) -> DecisionResponse:
        made: DecisionResponse = await _arun(self, "decision", model, {**given, "questions": questions})
        return made

    async def count_tokens(self: AsyncCaller, model: str, messages: list[Any], **given: Any) -> TokenCount:
        made: TokenCount = await _arun(self, "token_count", model, {**given, "messages": messages})
        return made
