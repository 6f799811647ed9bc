"""The operations beside chat, in our own words. Each has a request and a response; the dialects of `dialects/` speak them.

Pictures and sound are in `media.py`. A count of tokens is asked for with a ChatRequest, and a list of models with nothing.
"""

from __future__ import annotations

from typing import Any, Literal

from dragoman.core.chat import Extra, MediaPart, Message, TextPart, Usage, Value, Warning


class EmbeddingRequest(Value, frozen=True, kw_only=True):
    """Vectors for texts. `input` is texts, or token lists; `dimensions` the wanted length of each vector.

    `encoding_format` is how the vectors travel: float (JSON numbers) or base64 (little-endian float32).
    """

    model: str
    input: tuple[str, ...] | tuple[tuple[int, ...], ...]
    dimensions: int | None = None
    encoding_format: str | None = None
    user: str | None = None
    extra: Extra = {}


class Embedding(Value, frozen=True, kw_only=True):
    """One vector, in the order of the inputs; exactly as it came: a tuple of floats or base64 text."""

    index: int
    vector: tuple[float, ...] | str


class EmbeddingResponse(Value, frozen=True, kw_only=True):
    model: str
    embeddings: tuple[Embedding, ...]
    usage: Usage | None = None
    id: str | None = None
    warnings: tuple[Warning, ...] = ()
    extra: Extra = {}


# --------------------------------------------------------------------------------------------------------------- reranking
Document = str | dict[str, Any]
"""A text, or an object with named fields (`{"text": ...}`, `{"title": ..., "body": ...}`, `{"image": URL}`)."""


class RerankRequest(Value, frozen=True, kw_only=True):
    """Which of `documents` answer `query` best. `top_n` is how many to tell of, None all.

    `rank_fields` are the fields of objects that count; `max_tokens_per_doc` cuts longer documents. With `return_documents`
    the answer repeats them.
    """

    model: str
    query: Document
    documents: tuple[Document, ...]
    top_n: int | None = None
    return_documents: bool | None = None
    rank_fields: tuple[str, ...] = ()
    max_tokens_per_doc: int | None = None
    extra: Extra = {}


class RerankResult(Value, frozen=True, kw_only=True):
    """`index` is the document's place in the request. Scores compare within one answer: 0 to 1, or logits of any size."""

    index: int
    relevance_score: float
    document: dict[str, Any] | None = None


class RerankResponse(Value, frozen=True, kw_only=True):
    """`results`, the best one first. `search_units` is what Cohere and its hosts bill by, beside or in place of tokens."""

    model: str
    results: tuple[RerankResult, ...]
    id: str | None = None
    usage: Usage | None = None
    search_units: float | None = None
    warnings: tuple[Warning, ...] = ()
    extra: Extra = {}


# -------------------------------------------------------------------------------------------------------------- moderation
class ModerationRequest(Value, frozen=True, kw_only=True):
    """`input` is texts, judged one by one, or parts (texts and images), judged together. Model "" is the provider's default."""

    input: tuple[str, ...] | tuple[TextPart | MediaPart, ...]
    model: str = ""
    extra: Extra = {}


class ModerationResult(Value, frozen=True, kw_only=True):
    """What one input was found to be. Categories are the provider's; scores go from 0 to 1.

    `applied_input_types` says for a category which kinds of part (text, image) were looked at.
    """

    flagged: bool
    categories: dict[str, bool]
    category_scores: dict[str, float] = {}
    applied_input_types: dict[str, tuple[str, ...]] | None = None
    extra: Extra = {}


class ModerationResponse(Value, frozen=True, kw_only=True):
    model: str
    results: tuple[ModerationResult, ...]
    id: str | None = None
    usage: Usage | None = None
    warnings: tuple[Warning, ...] = ()
    extra: Extra = {}


# --------------------------------------------------------------------------------------------------------------- decisions
QuestionKind = Literal["predicate", "choice", "score"]


class DecisionOption(Value, frozen=True, kw_only=True):
    """One of the answers to choose from, or a level of a scale. A boolean is not the text of the same name."""

    value: str | bool
    description: Any = None


class DecisionQuestion(Value, frozen=True, kw_only=True):
    """A predicate (how likely is it true?), a choice among `options`, or a score: which of the `options`, the lowest first.

    `instructions` is the question: a text, or JSON that says it. `when_true` and `when_false` describe a predicate's outcomes.
    """

    kind: QuestionKind
    instructions: Any
    name: str | None = None
    options: tuple[DecisionOption, ...] = ()
    when_true: Any = None
    when_false: Any = None
    extra: Extra = {}


class DecisionRequest(Value, frozen=True, kw_only=True):
    """Questions about one state: `state` (a text or any JSON value), or a conversation in `messages`; never both."""

    model: str
    questions: tuple[DecisionQuestion, ...]
    state: Any = None
    messages: tuple[Message, ...] = ()
    extra: Extra = {}


class OptionProbability(Value, frozen=True, kw_only=True):
    """`value` is the option's, and for a score the level's number from 0; `label` is what that level is called."""

    value: str | bool | int
    probability: float
    label: str | None = None


class DecisionAnswer(Value, frozen=True, kw_only=True):
    """The answer to one question; a refusal has nothing but its name. All probabilities go from 0 to 1.

    `probability` is that a predicate is true; `choice` the likeliest option; `score` the expected level, the lowest being 0.
    `confidence` is the probability of what was chosen.
    """

    kind: Literal["predicate", "choice", "score", "refusal"]
    name: str | None = None
    probability: float | None = None
    choice: str | bool | None = None
    score: float | None = None
    confidence: float | None = None
    probabilities: tuple[OptionProbability, ...] = ()
    extra: Extra = {}


class DecisionResponse(Value, frozen=True, kw_only=True):
    """`answers` in the order of the questions. `calibrated` is False for a chat model's own guess of its probabilities."""

    model: str
    answers: tuple[DecisionAnswer, ...]
    usage: Usage | None = None
    calibrated: bool = True
    id: str | None = None
    warnings: tuple[Warning, ...] = ()
    extra: Extra = {}


# ------------------------------------------------------------------------------------------------------ reading documents
class OCRRequest(Value, frozen=True, kw_only=True):
    """What stands on the pages of `document`, an image or a document with a URL or a provider's file id.

    `pages` are numbers from 0, or a text such as "0-3"; None is all of them.
    """

    model: str
    document: MediaPart
    pages: tuple[int, ...] | str | None = None
    extra: Extra = {}


class OCRPage(Value, frozen=True, kw_only=True):
    """`index` is the page's number from 0. Its pictures and its size are in `extra`."""

    index: int
    markdown: str
    extra: Extra = {}


class OCRResponse(Value, frozen=True, kw_only=True):
    """`usage` has no tokens: in its `extra` is how many pages were read, which is what is paid for."""

    model: str
    pages: tuple[OCRPage, ...]
    usage: Usage | None = None
    warnings: tuple[Warning, ...] = ()
    extra: Extra = {}


# ------------------------------------------------------------------------------------------------- token counts, model lists
class TokenCountResponse(Value, frozen=True, kw_only=True):
    """How many tokens a ChatRequest would take. Counting is billed by nobody, so there is no usage."""

    input_tokens: int
    model: str = ""
    usage: None = None
    warnings: tuple[Warning, ...] = ()
    extra: Extra = {}


class ListedModel(Value, frozen=True, kw_only=True):
    """A model as its provider lists it. `created` is Unix seconds; `context_window` and `max_output_tokens` are tokens."""

    id: str
    name: str | None = None
    created: int | None = None
    owned_by: str | None = None
    description: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    extra: Extra = {}


class ModelListing(Value, frozen=True, kw_only=True):
    """A page of models, in the provider's order. `next_page` is what its API wants in order to show the next one."""

    models: tuple[ListedModel, ...]
    next_page: str | None = None
    usage: None = None
    extra: Extra = {}
