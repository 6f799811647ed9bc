"""What the SDK returns for reranking, moderation, OCR, decisions and token counts: objects as in `objects`, LiteLLM's shapes.

Field reference: https://docs.cohere.com/reference/rerank, https://docs.mistral.ai/api/endpoint/ocr and, of
https://platform.openai.com/docs/api-reference, moderations and decisions.
"""

from __future__ import annotations

from typing import Any

from dragoman.client.objects import Answer, OpenAIObject


class RerankResult(OpenAIObject):
    """`index` is the document's place in the request; `document` is {"text": ...} or the object that was sent."""

    index: int
    relevance_score: float
    document: dict[str, Any] | None


class RerankResponse(Answer):
    """`results`, the best first. `meta` holds `billed_units` (search_units) and, where they were counted, `tokens`."""

    id: str
    results: list[RerankResult]
    meta: dict[str, Any]
    model: str | None
    usage: dict[str, Any] | None
    _nested = {"results": RerankResult}


class Moderation(OpenAIObject):
    """Categories and their scores (0 to 1) by the provider's names, such as "hate/threatening"."""

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float]
    category_applied_input_types: dict[str, list[str]] | None


class ModerationResponse(Answer):
    id: str
    model: str
    results: list[Moderation]
    usage: dict[str, Any] | None
    _nested = {"results": Moderation}


class OCRPage(OpenAIObject):
    """`index` counts from 0; `dimensions` holds dpi, height and width in pixels; `images` are those found on the page."""

    index: int
    markdown: str
    images: list[dict[str, Any]] | None
    dimensions: dict[str, Any] | None


class OCRResponse(Answer):
    """`usage_info` holds `pages_processed`, which is what is paid for."""

    pages: list[OCRPage]
    model: str
    document_annotation: Any
    usage_info: dict[str, Any]
    _nested = {"pages": OCRPage}


class DecisionAnswer(OpenAIObject):
    """`type` is predicate (noul), choice, score or refusal; the other fields are those of that type."""

    type: str
    name: str | None
    probability: float | None
    noul: float | None
    choice: str | bool | None
    score: float | None
    confidence: float | None
    probabilities: Any
    legend: dict[str, Any] | None


class DecisionResponse(Answer):
    """`answers` in the order of the questions, or by their names where questions were asked by name.

    `calibrated` is False where a chat model guessed the probabilities, else absent.
    """

    id: str | None
    model: str
    answers: list[DecisionAnswer] | dict[str, DecisionAnswer]
    usage: dict[str, Any]
    calibrated: bool | None

    @classmethod
    def of(cls, data: dict[str, Any]) -> Any:
        made, answers = cls(data), data["answers"]
        if isinstance(answers, dict):
            made["answers"] = {name: DecisionAnswer.of(answer) for name, answer in answers.items()}
        else:
            made["answers"] = [DecisionAnswer.of(answer) for answer in answers]
        return made


class TokenCount(Answer):
    """`tokenizer_type` is "provider" for a count of the provider's own, "estimate" where it counts for nobody."""

    total_tokens: int
    request_model: str
    model_used: str
    tokenizer_type: str
