"""`rerank`, `moderation`, `ocr`, `decision`, `count_tokens`, and each with an `a` in front: small questions, short answers.

They run on the client that all functions of the package share. Arguments and results are LiteLLM's where it has such a call.
"""

from __future__ import annotations

from typing import Any, Unpack

from dragoman.client.functions import CallControls, CompletionArguments, _shared, _shared_async
from dragoman.client.operation_calls import AsyncOperationCalls, OperationCalls
from dragoman.client.operation_objects import DecisionResponse, ModerationResponse, OCRResponse, RerankResponse, TokenCount


class RerankArguments(CallControls, total=False):
    """`top_n` is how many results to give; `rank_fields` are the fields of objects that count.

    `return_documents` (default True) repeats each document beside its score; `max_tokens_per_doc` cuts longer ones.
    """

    top_n: int
    rank_fields: list[str]
    return_documents: bool
    max_chunks_per_doc: int
    max_tokens_per_doc: int


class OCRArguments(CallControls, total=False):
    """The parameters of https://docs.mistral.ai/api/endpoint/ocr; `pages` are counted from 0."""

    pages: list[int] | str
    include_image_base64: bool
    image_limit: int
    image_min_size: int
    bbox_annotation_format: dict[str, Any]
    document_annotation_format: dict[str, Any]
    document_annotation_prompt: str
    table_format: str
    extract_header: bool
    extract_footer: bool


class DecisionArguments(CallControls, total=False):
    """One of the two: `input` is a text or a list of messages, `state` a text or any JSON."""

    input: Any
    state: Any


def rerank(model: str, query: str, documents: list[Any], **arguments: Unpack[RerankArguments]) -> RerankResponse:
    """Which `documents` (texts or objects) answer `query` best, in Cohere's shape, whoever ranks them."""
    return OperationCalls.rerank(_shared(), model, query, documents, **arguments)


async def arerank(model: str, query: str, documents: list[Any], **arguments: Unpack[RerankArguments]) -> RerankResponse:
    """`rerank`, awaited."""
    return await AsyncOperationCalls.rerank(await _shared_async(), model, query, documents, **arguments)


def moderation(
    input: Any,  # noqa: A002 - OpenAI's name
    model: str | None = None,
    **controls: Unpack[CallControls],
) -> ModerationResponse:
    """What is harmful in `input`: a text, a list of texts, or a list of text and image parts. Without a model, OpenAI's."""
    return OperationCalls.moderation(_shared(), input, model, **controls)


async def amoderation(
    input: Any,  # noqa: A002 - OpenAI's name
    model: str | None = None,
    **controls: Unpack[CallControls],
) -> ModerationResponse:
    """`moderation`, awaited."""
    return await AsyncOperationCalls.moderation(await _shared_async(), input, model, **controls)


def ocr(model: str, document: dict[str, Any], **arguments: Unpack[OCRArguments]) -> OCRResponse:
    """The pages of `document` as Markdown.

    It is {"type": "document_url", "document_url": URL}, {"type": "image_url", "image_url": URL} or {"type": "file", "file":
    bytes, an open file or a path}; a URL may be one of data.
    """
    return OperationCalls.ocr(_shared(), model, document, **arguments)


async def aocr(model: str, document: dict[str, Any], **arguments: Unpack[OCRArguments]) -> OCRResponse:
    """`ocr`, awaited."""
    return await AsyncOperationCalls.ocr(await _shared_async(), model, document, **arguments)


def decision(model: str, questions: Any, **arguments: Unpack[DecisionArguments]) -> DecisionResponse:
    """Typed answers with probabilities to `questions` about one input.

    A list of questions is OpenAI's (with `input`), a dict of them by name System One's (with `state`); the answers have the
    same shape. A model that only chats is asked by a prompt with a JSON schema, and its probabilities are not `calibrated`.
    """
    return OperationCalls.decision(_shared(), model, questions, **arguments)


async def adecision(model: str, questions: Any, **arguments: Unpack[DecisionArguments]) -> DecisionResponse:
    """`decision`, awaited."""
    return await AsyncOperationCalls.decision(await _shared_async(), model, questions, **arguments)


def count_tokens(model: str, messages: list[Any], **arguments: Unpack[CompletionArguments]) -> TokenCount:
    """How many tokens a chat call with these arguments would take: counted by the provider, or else estimated."""
    return OperationCalls.count_tokens(_shared(), model, messages, **arguments)


async def acount_tokens(model: str, messages: list[Any], **arguments: Unpack[CompletionArguments]) -> TokenCount:
    """`count_tokens`, awaited."""
    return await AsyncOperationCalls.count_tokens(await _shared_async(), model, messages, **arguments)
