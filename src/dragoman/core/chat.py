"""Chat in our own words: a request and a response made of messages with ordered parts.

Every dialect translates to and from these types, so N wire formats cost N files. The types are frozen values;
what only one dialect can say rides along in `extra`, keyed by the name of that dialect, and is written back by it alone.
A dialect that meets an `extra` of another dialect, or a part it cannot say, reports a `Warning`: nothing is dropped in silence.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Role = Literal["system", "developer", "user", "assistant", "tool"]
MediaKind = Literal["image", "audio", "document", "video"]
Reason = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "pause", "error", "unknown"]
Extra = dict[str, dict[str, Any]]
"""Dialect name -> fields of that dialect which the vocabulary has no word for.

A name that begins with `_` is a mark: how a dialect had spelled what the vocabulary does say, so that it spells it so again.
Marks are nobody else's business and no loss elsewhere.
"""


class Value(Struct, frozen=True, omit_defaults=True):
    """Base of every value here: frozen, defaults left out when serialised (msgspec wants frozen and kw_only said again)."""


class Warning(Value, frozen=True, kw_only=True, tag="warning"):  # noqa: A001 - the glossary's word; the builtin is never meant in this package
    """Something the caller asked for that could not be said as asked, and was dropped, changed or emulated.

    `field` is the path in the caller's request or answer (`messages[2].content[0]`, `logit_bias`); `message` says what
    happened and what to do about it. Under `strict` a dropped field of a request is raised as UnsupportedParamsError.
    """

    field: str
    message: str
    code: Literal["dropped", "changed", "emulated"] = "dropped"


# ---------------------------------------------------------------------------------------------------------------- parts
class Citation(Value, frozen=True, kw_only=True):
    """Where a stretch of text comes from. `start_index`/`end_index` count characters in the text part that carries it."""

    url: str | None = None
    title: str | None = None
    cited_text: str | None = None
    start_index: int | None = None
    end_index: int | None = None
    extra: Extra = {}


class TextPart(Value, frozen=True, kw_only=True, tag="text"):
    text: str
    citations: tuple[Citation, ...] = ()
    cache_control: dict[str, Any] | None = None
    signature: str | None = None
    extra: Extra = {}


class MediaPart(Value, frozen=True, kw_only=True, tag="media"):
    """An image, sound, document or video: exactly one of `data` (base64 text), `url`, `file_id` or `text` (documents) is set.

    `media_type` is a MIME type; `detail` is OpenAI's image resolution hint; `id` and `transcript` belong to generated audio.
    """

    kind: MediaKind
    data: str | None = None
    url: str | None = None
    file_id: str | None = None
    text: str | None = None
    media_type: str | None = None
    filename: str | None = None
    detail: str | None = None
    id: str | None = None
    transcript: str | None = None
    cache_control: dict[str, Any] | None = None
    extra: Extra = {}


class ReasoningPart(Value, frozen=True, kw_only=True, tag="reasoning"):
    """Thinking shown by a model. `signature` proves it to its issuer; `redacted` is thinking that only the issuer can read."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    extra: Extra = {}


class RefusalPart(Value, frozen=True, kw_only=True, tag="refusal"):
    text: str


class ToolCallPart(Value, frozen=True, kw_only=True, tag="tool_call"):
    """The model's wish to call a tool. `arguments` is JSON text exactly as the model wrote it (for `custom`: free text)."""

    id: str
    name: str
    arguments: str = "{}"
    kind: Literal["function", "custom"] = "function"
    signature: str | None = None
    cache_control: dict[str, Any] | None = None
    extra: Extra = {}


class ToolResultPart(Value, frozen=True, kw_only=True, tag="tool_result"):
    tool_call_id: str
    parts: tuple[Part, ...] = ()
    is_error: bool | None = None
    cache_control: dict[str, Any] | None = None
    extra: Extra = {}


class OpaquePart(Value, frozen=True, kw_only=True, tag="opaque"):
    """A block that only `dialect` knows (a server tool's use or result); written back unchanged by it, a Warning elsewhere."""

    dialect: str
    value: dict[str, Any]


Part = TextPart | MediaPart | ReasoningPart | RefusalPart | ToolCallPart | ToolResultPart | OpaquePart


class Message(Value, frozen=True, kw_only=True):
    role: Role
    parts: tuple[Part, ...] = ()
    name: str | None = None
    extra: Extra = {}


# -------------------------------------------------------------------------------------------------------------- request
class Tool(Value, frozen=True, kw_only=True, tag="function"):
    """A function the model may call. `parameters` is a JSON Schema object; None means "takes none"."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None
    cache_control: dict[str, Any] | None = None
    extra: Extra = {}


class NativeTool(Value, frozen=True, kw_only=True, tag="native"):
    """A tool that only `dialect` knows (web search, code execution, a custom grammar), kept as it was written."""

    dialect: str
    value: dict[str, Any]


class ToolChoice(Value, frozen=True, kw_only=True):
    """`required` means any tool but at least one; `named` means exactly `name`."""

    mode: Literal["auto", "none", "required", "named"]
    name: str | None = None
    extra: Extra = {}


class ResponseFormat(Value, frozen=True, kw_only=True):
    """The shape the answer must have. `schema` (a JSON Schema object) is set when `kind` is json_schema."""

    kind: Literal["text", "json_object", "json_schema"]
    schema: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
    strict: bool | None = None
    extra: Extra = {}


class Reasoning(Value, frozen=True, kw_only=True):
    """How much to think: `effort` in words, `budget_tokens` in tokens, `enabled` to switch; None leaves it to the provider."""

    effort: str | None = None
    budget_tokens: int | None = None
    enabled: bool | None = None
    extra: Extra = {}


class ChatRequest(Value, frozen=True, kw_only=True):
    """One chat call. None means "not said": the provider's own default holds and nothing is sent."""

    model: str
    messages: tuple[Message, ...] = ()
    tools: tuple[Tool | NativeTool, ...] = ()
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    n: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: ResponseFormat | None = None
    reasoning: Reasoning | None = None
    user: str | None = None
    service_tier: str | None = None
    metadata: dict[str, Any] | None = None
    stream: bool = False
    include_usage: bool | None = None
    extra: Extra = {}


# ------------------------------------------------------------------------------------------------------------- response
class Usage(Value, frozen=True, kw_only=True):
    """Tokens of one answer. `input_tokens` includes cache reads and writes, `output_tokens` includes reasoning, everywhere.

    The other counts say how much of those two was of a kind; `cache_write_1h_tokens` is a share of `cache_write_tokens`.
    `web_search_requests` counts calls, not tokens. `extra` holds what the provider reported beyond that.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_tokens: int = 0
    input_image_tokens: int = 0
    output_image_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0
    web_search_requests: int = 0
    extra: Extra = {}

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens


class TokenLogprob(Value, frozen=True, kw_only=True):
    """The natural-log probability of one token, with the likeliest alternatives at its place; `bytes` is its UTF-8."""

    token: str
    logprob: float
    bytes: tuple[int, ...] | None = None
    top_logprobs: tuple[TokenLogprob, ...] = ()


class Logprobs(Value, frozen=True, kw_only=True):
    content: tuple[TokenLogprob, ...] | None = None
    refusal: tuple[TokenLogprob, ...] | None = None
    reasoning: tuple[TokenLogprob, ...] | None = None
    extra: Extra = {}


class Finish(Value, frozen=True, kw_only=True):
    """Why a choice ended: our word, the provider's own word, and the stop sequence that was hit if it told."""

    reason: Reason
    native: str | None = None
    stop_sequence: str | None = None


class Choice(Value, frozen=True, kw_only=True):
    index: int = 0
    parts: tuple[Part, ...] = ()
    finish: Finish | None = None
    logprobs: Logprobs | None = None
    extra: Extra = {}


class ChatResponse(Value, frozen=True, kw_only=True):
    """One finished answer. `created` is a Unix time in seconds, None where the dialect has none."""

    id: str
    model: str
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    created: int | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    warnings: tuple[Warning, ...] = ()
    extra: Extra = {}
