"""ChatResponse -> the answer of /generate, in the one shape that every version of the clients can read.

`text` and `finish_reason` are always strings, `meta` is always there and holds the usage twice, nested and flat. What the
clients have no field for (calls of tools, reasoning, the trail of attempts) stands beside, where they do not look.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from dragoman.core import json
from dragoman.core.chat import (
    ChatResponse,
    Choice,
    Citation,
    Finish,
    MediaPart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    Usage,
    Warning,
)
from dragoman.dialects.gptrouter.params import Manner
from dragoman.dialects.gptrouter.wire import model_id, provider_id
from dragoman.dialects.openai_chat.message import is_legacy, write_audio, write_call, write_image
from dragoman.dialects.openai_chat.usage import encode_usage
from dragoman.dialects.openai_chat.wire import FINISH_WORDS, write_citation, write_logprobs

NO_USAGE = Usage()
THINKING = ("<thinking>", "</thinking>")


class Source(Struct, frozen=True, kw_only=True):
    """Who answered, in the words of the request, and the way there: `attempts` as they are to be written. `cached`: nobody was
    asked.
    """

    provider: str = ""
    model: str = ""
    attempts: tuple[dict[str, Any], ...] = ()
    cost: float | None = None
    cached: bool = False
    warnings: tuple[Warning, ...] = ()

    def ids(self) -> dict[str, str]:
        return {"providerId": provider_id(self.provider), "modelId": model_id(self.provider, self.model)}


def encode_answer(response: ChatResponse, source: Source, manner: Manner) -> bytes:
    body: dict[str, Any] = {
        "id": response.id or "",
        "model": response.model or source.model,
        "choices": [_choice(choice, manner) for choice in response.choices],
        "meta": meta(response.usage, source, response.warnings),
        **source.ids(),
        "provider": source.provider,
    }
    links = [part.url for choice in response.choices for part in _citations(choice) if part.url]
    if links:
        body["citations"] = links
    if source.cost is not None:
        body["cost"] = source.cost
    return json.encode(body)


def meta(usage: Usage | None, source: Source, warnings: tuple[Warning, ...] = ()) -> dict[str, Any]:
    """Usage nested for the newest clients and flat for the older ones, and the trail."""
    counts = encode_usage(usage or NO_USAGE)
    flat = {key: counts[key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")}
    found: dict[str, Any] = {"usage": counts, **flat, "attempts": list(source.attempts)}
    if source.cached:
        found["cached"] = True
    told = [*source.warnings, *warnings]
    if told:
        found["warnings"] = [{"field": one.field, "message": one.message, "code": one.code} for one in told]
    return found


def finish_word(finish: Finish | None) -> str:
    """The provider's own word where it has one, as it always was here; never null."""
    if finish is None:
        return ""
    return finish.native or FINISH_WORDS[finish.reason]


def _choice(choice: Choice, manner: Manner) -> dict[str, Any]:
    written = {
        "index": choice.index,
        "text": _text(choice.parts, manner),
        "finish_reason": finish_word(choice.finish),
        "role": "assistant",
    }
    written |= _calls([part for part in choice.parts if isinstance(part, ToolCallPart)])
    reasoning = _reasoning(choice.parts)
    if reasoning:
        written["reasoning"] = reasoning
    refusal = "".join(part.text for part in choice.parts if isinstance(part, RefusalPart))
    if refusal:
        written["refusal"] = refusal
    citations = [write_citation(citation)["url_citation"] for citation in _citations(choice)]
    if citations:
        written["citations"] = citations
    if choice.logprobs is not None:
        written["logprobs"] = write_logprobs(choice.logprobs)
    return written | write_media([part for part in choice.parts if isinstance(part, MediaPart)])


def _text(parts: tuple[Part, ...], manner: Manner) -> str:
    """The texts joined; a refusal where there is nothing else, since most programs look nowhere else."""
    text = "".join(part.text for part in parts if isinstance(part, TextPart))
    thinking = _reasoning(parts) if manner.thinking_in_text else ""
    if thinking:
        text = f"{THINKING[0]}{thinking}{THINKING[1]}{text}"
    return text or "".join(part.text for part in parts if isinstance(part, RefusalPart))


def _reasoning(parts: tuple[Part, ...]) -> str:
    return "".join(part.text for part in parts if isinstance(part, ReasoningPart))


def _calls(calls: list[ToolCallPart]) -> dict[str, Any]:
    if not calls:
        return {}
    if is_legacy(calls[0]):
        return {"function_call": {"name": calls[0].name, "arguments": calls[0].arguments}}
    return {"tool_calls": [write_call(call) for call in calls]}


def write_media(media: list[MediaPart]) -> dict[str, Any]:
    images = [part for part in media if part.kind == "image"]
    audio = next((part for part in media if part.kind == "audio"), None)
    found: dict[str, Any] = {"images": [write_image(part, place) for place, part in enumerate(images)]} if images else {}
    return found | ({"audio": write_audio(audio)} if audio else {})


def _citations(choice: Choice) -> list[Citation]:
    return [citation for part in choice.parts if isinstance(part, TextPart) for citation in part.citations]
