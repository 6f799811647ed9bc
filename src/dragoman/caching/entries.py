"""What is kept of an answer, as bytes, and which answers are. Pure.

Kept is what a provider said to the end and would say again: no error, nothing partial or filtered, and nothing that acted or
looked outside the model while it was made (web search, code execution, a conversation stored with the provider).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from dragoman.core.chat import ChatRequest, ChatResponse, Choice, NativeTool, OpaquePart, Warning
from dragoman.core.media import SpeechResponse, TranscriptionResponse
from dragoman.core.operations import (
    DecisionResponse,
    EmbeddingResponse,
    ModerationResponse,
    RerankResponse,
)

OPERATIONS = frozenset(
    """
    chat responses completion embedding rerank moderation decision transcription translation speech
    """.split()
)
"""Whose answers are kept. Who asks for an image again wants another one; a count of tokens costs nothing."""

_UPSTREAM_STATE = (
    "background",
    "container",
    "conversation",
    "mcp_servers",
    "plugins",
    "previous_response_id",
    "search_parameters",
    "web_search_options",
)
"""Fields that make an answer depend on what a provider remembers, looks up or does."""
_FINISHED = frozenset({"stop", "length", "tool_calls"})

_encode = msgspec.msgpack.Encoder().encode


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`created` is Unix seconds. `kind` is the class of `response`; the rest says who answered, and what it said beside."""

    created: float
    kind: str
    response: Raw
    provider: str = ""
    model: str = ""
    deployment: str = ""
    base_url: str = ""
    warnings: tuple[Warning, ...] = ()

    def opened(self) -> Any:
        """The response. Raises msgspec.DecodeError for one that this version cannot read."""
        return _DECODERS[self.kind](self.response)


_KINDS = (
    ChatResponse,
    DecisionResponse,
    EmbeddingResponse,
    ModerationResponse,
    RerankResponse,
    SpeechResponse,
    TranscriptionResponse,
)
_DECODERS: dict[str, Any] = {kind.__name__: msgspec.msgpack.Decoder(kind).decode for kind in _KINDS}
_decode = msgspec.msgpack.Decoder(Entry).decode


def pack(response: Any, **about: Any) -> bytes:
    """An Entry as bytes; `about` are its other fields. Raises what msgpack raises for a value it cannot say."""
    return _encode(Entry(kind=type(response).__name__, response=Raw(_encode(response)), **about))


def unpack(data: bytes | None) -> tuple[Entry, Any] | None:
    """(entry, its response); None for nothing, and for what this version cannot read."""
    if data is None:
        return None
    try:
        entry = _decode(data)
        return entry, entry.opened()
    except (msgspec.DecodeError, KeyError):
        return None


def may_ask(request: Any, extra_body: Mapping[str, Any]) -> bool:
    """Whether an answer to this request can be one that is kept. `extra_body` is what is merged into its body."""
    for fields in (extra_body, *getattr(request, "extra", {}).values()):
        if any(fields.get(name) not in (None, False) for name in _UPSTREAM_STATE):
            return False
    return not (isinstance(request, ChatRequest) and any(isinstance(tool, NativeTool) for tool in request.tools))


def may_keep(response: Any) -> bool:
    """Whether this answer is kept; a stream's is the one put together at its end."""
    if not isinstance(response, ChatResponse):
        return isinstance(response, _KINDS)
    searched = response.usage is not None and response.usage.web_search_requests > 0
    return bool(response.choices) and not searched and all(map(_whole, response.choices))


def _whole(choice: Choice) -> bool:
    finished = choice.finish is not None and choice.finish.reason in _FINISHED
    return finished and bool(choice.parts) and not any(isinstance(part, OpaquePart) for part in choice.parts)
