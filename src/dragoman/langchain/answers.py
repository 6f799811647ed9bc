"""OpenAI-shaped answers -> LangChain's results: a whole answer, or a stream of it chunk by chunk.

Content is text, as LangChain programs print it; everything else an answer holds (reasoning, refusal, citations, sound,
pictures) stays in `additional_kwargs`, from where `content_blocks` and the next request read it (see `standard`). Metadata
are plain JSON and stand on one chunk of a stream each, because LangChain adds chunks up. Takes our objects or another
library's that look like them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from msgspec import Struct

from dragoman.langchain.standard import MARK, ensure_translator
from dragoman.langchain.usage import usage_metadata

_GATEWAY_HEADER = "x-langsmith-gateway-metadata"
_NOT_BESIDE = frozenset({"role", "content", "tool_calls", "tool_call_extras"})
_CALL_FIELDS = frozenset({"id", "type", "index", "function", "custom"})
_TOLD = ("id", "created", "system_fingerprint", "service_tier")


class Asked(Struct, frozen=True, kw_only=True):
    """What is known before the answer: the model as the caller named it, its provider, and whether headers are wanted.

    `routed`: a router chose the deployment, so another model group than the one asked for may have answered.
    """

    model: str
    provider: str
    headers: bool = False
    routed: bool = False


# ---------------------------------------------------------------------------------------------------------- whole answers
def chat_result(answer: Any, asked: Asked) -> ChatResult:
    """Usage and cost stand on the first generation only: they are the whole answer's."""
    fields = _plain(answer)
    told = _told(answer, fields, asked)
    usage = fields.get("usage")
    generations = [_generation(choice, told) for choice in fields.get("choices") or ()]
    if generations and usage:
        first: Any = generations[0].message
        first.usage_metadata = usage_metadata(usage)
        first.response_metadata |= _spent(answer, usage)
    output = {"model_name": told["model_name"]} | ({"token_usage": usage} if usage else {})
    return ChatResult(generations=generations, llm_output=output)


def _generation(choice: Mapping[str, Any], told: dict[str, Any]) -> ChatGeneration:
    said = choice.get("message") or {}
    calls, invalid = _calls(said.get("tool_calls") or ())
    info = {"finish_reason": choice.get("finish_reason"), "logprobs": choice.get("logprobs")}
    gateway = told.get("lc_gateway_metadata")
    message = AIMessage(
        content=said.get("content") or "",
        additional_kwargs=_beside(said),
        tool_calls=calls,
        invalid_tool_calls=invalid,
        response_metadata={key: value for key, value in told.items() if key != "lc_gateway_metadata"},
    )
    known = {key: value for key, value in info.items() if value is not None}
    return ChatGeneration(message=message, generation_info=known | ({"lc_gateway_metadata": gateway} if gateway else {}))


def _beside(said: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in said.items() if key not in _NOT_BESIDE and value is not None}
    beyond = {call.get("id"): extras for call in said.get("tool_calls") or () if (extras := _call_extras(call))}
    return kept | ({"tool_call_extras": beyond} if beyond else {})


def _call_extras(call: Mapping[str, Any]) -> dict[str, Any]:
    """What a call says beyond its name and arguments; that it is no function's, too."""
    beyond = {key: value for key, value in call.items() if key not in _CALL_FIELDS and value is not None}
    return beyond | ({"type": "custom"} if call.get("type") == "custom" else {})


def _calls(raw: Iterable[Mapping[str, Any]]) -> tuple[list[Any], list[Any]]:
    """The calls that can be read, and those that cannot, with the reason."""
    calls: list[Any] = []
    invalid: list[Any] = []
    for call in raw:
        function = call.get("function") or {}
        name, arguments, error = function.get("name"), function.get("arguments"), None
        if call.get("type") == "custom":
            custom = call.get("custom") or {}
            name, args = custom.get("name"), {"__arg1": custom.get("input") or ""}
        else:
            args, error = _arguments(arguments)
        if error is None:
            calls.append({"type": "tool_call", "id": call.get("id"), "name": name, "args": args})
        else:
            told = {"id": call.get("id"), "name": name, "args": arguments, "error": error}
            invalid.append({"type": "invalid_tool_call", **told})
    return calls, invalid


def _arguments(text: Any) -> tuple[dict[str, Any], str | None]:
    """A model that has nothing to say writes nothing: no arguments."""
    try:
        args = json.loads(text, strict=False) if text else {}
    except ValueError as problem:
        return {}, f"the arguments are no JSON: {problem}"
    return (args, None) if isinstance(args, dict) else ({}, f"the arguments are no JSON object but {type(args).__name__}")


# --------------------------------------------------------------------------------------------------------------- metadata
def _plain(answer: Any) -> Mapping[str, Any]:
    """An answer as dicts, whatever library made it."""
    if isinstance(answer, Mapping):
        return answer
    fields: dict[str, Any] = answer.model_dump()
    return fields


def _told(answer: Any, fields: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """Who answered, and what else was told about the answer as a whole."""
    hidden = getattr(answer, "_hidden_params", None) or {}
    provider = hidden.get("custom_llm_provider") or asked.provider
    ensure_translator(provider)
    group, fell_back = _answered_by(hidden, asked)
    told = {
        "model_name": group if fell_back else asked.model,
        "model": fields.get("model") or hidden.get("litellm_model_name"),
        "model_provider": provider,
        MARK: True,
        **{key: fields.get(key) for key in _TOLD},
        "deployment_id": hidden.get("model_id"),
        "attempts": hidden.get("attempts") or _attempts(hidden.get("additional_headers") or {}),
        "fallback_used": fell_back,
        "model_group": group if asked.routed else None,
        "trail": list(hidden.get("trail") or ()) if (hidden.get("attempts") or 1) > 1 else None,
        "warnings": [{"field": warning.field, "message": warning.message} for warning in hidden.get("warnings") or ()] or None,
    }
    headers = getattr(answer, "_response_headers", None) or {}
    if asked.headers:
        told["headers"] = dict(headers)
    if _GATEWAY_HEADER in headers:
        told["lc_gateway_metadata"] = _gateway(headers[_GATEWAY_HEADER])
    return {key: value for key, value in told.items() if value is not None}


def _answered_by(hidden: Mapping[str, Any], asked: Asked) -> tuple[str, bool]:
    """The group that answered, and whether that was another one than the caller's: an alias of a group is no fallback."""
    if not asked.routed:
        return asked.model, False
    beside = hidden.get("additional_headers") or {}
    tried = hidden.get("trail") or ()
    group: Any = hidden.get("answered_by") or (tried[-1].get("group") if tried else None) or beside.get("x-litellm-model-group")
    if "answered_by" in hidden:
        return group, group != asked.model
    return group or asked.model, bool(group and beside.get("x-litellm-attempted-fallbacks"))


def _attempts(beside: Mapping[str, Any]) -> int | None:
    """LiteLLM's router counts what came after the first."""
    counts = [beside.get(f"x-litellm-attempted-{name}") for name in ("retries", "fallbacks")]
    return None if counts[0] is None and counts[1] is None else 1 + sum(int(count or 0) for count in counts)


def _gateway(text: str) -> dict[str, Any] | None:
    """What a LangSmith-style gateway tells of the model that answered; the tracer reads it."""
    try:
        held = json.loads(text)
    except ValueError:
        return None
    return held if isinstance(held, dict) else None


def _spent(answer: Any, usage: Any) -> dict[str, Any]:
    """Tokens, and USD where there is a price. An answer brings its cost along; a stream's is worked out at its end."""
    hidden = getattr(answer, "_hidden_params", None) or {}
    known, model = "response_cost" in hidden, hidden.get("litellm_model_name")
    cost = hidden["response_cost"] if known else _cost(model, hidden.get("custom_llm_provider"), usage) if model else None
    return {"token_usage": usage} | ({} if cost is None else {"response_cost": cost})


def _cost(model: str, provider: str | None, usage: Any) -> float | None:
    from dragoman.client.costs import cost_of  # noqa: PLC0415 - for answers that have no cost of their own
    from dragoman.dialects.openai_chat.usage import decode_usage  # noqa: PLC0415 - as above

    counts = decode_usage(json.loads(json.dumps(usage)))  # builtins, whatever object it was
    return cost_of(model, provider, counts).dollars


# ---------------------------------------------------------------------------------------------------------------- streams
class StreamReader:
    """Chunks of a streamed answer -> LangChain's. One for each stream; reads the first choice, the only one LangChain shows."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._told: dict[str, Any] | None = None
        self._mark: dict[str, Any] = {}  # what `content_blocks` needs to know of a chunk
        self._ids: dict[int, str] = {}
        self._blocks = 0
        self._within_block = False

    def read(self, chunk: Any) -> list[ChatGenerationChunk]:
        fields = _plain(chunk)
        made: list[ChatGenerationChunk] = []
        if self._told is None:
            self._told = told = _told(chunk, fields, self._asked)
            self._mark = {"model_provider": told["model_provider"], MARK: True}
            gateway = told.pop("lc_gateway_metadata", None)
            info = {"lc_gateway_metadata": gateway} if gateway else None
            made.append(ChatGenerationChunk(message=AIMessageChunk(content="", response_metadata=told), generation_info=info))
        for choice in fields.get("choices") or ():
            if not choice.get("index"):
                made += self._choice(choice)
        usage = fields.get("usage")
        if usage:
            metadata = _spent(chunk, usage)
            counts = usage_metadata(usage)
            made.append(_chunk(AIMessageChunk(content="", usage_metadata=counts, response_metadata=metadata)))
        return made

    def _choice(self, choice: Mapping[str, Any]) -> list[ChatGenerationChunk]:
        delta = choice.get("delta") or {}
        said: list[AIMessageChunk] = []
        beside = self._beside(delta)
        if beside:
            said.append(AIMessageChunk(content="", additional_kwargs=beside, response_metadata=self._mark))
        if delta.get("content"):
            said.append(AIMessageChunk(content=delta["content"], response_metadata=self._mark))
        if delta.get("tool_calls"):
            said.append(self._call_chunk(delta["tool_calls"]))
        info = {key: choice[key] for key in ("logprobs", "finish_reason") if choice.get(key) is not None}
        if info and not said:
            said.append(AIMessageChunk(content=""))
        chunks = [_chunk(message) for message in said]
        if info:
            chunks[-1].generation_info = info
        return chunks

    def _call_chunk(self, calls: list[Mapping[str, Any]]) -> AIMessageChunk:
        pieces: list[Any] = []
        beyond: dict[str, Any] = {}
        for call in calls:
            index = call.get("index") or 0
            if call.get("id"):
                self._ids[index] = call["id"]
            function = call.get("function") or {}
            name, args = function.get("name"), function.get("arguments")
            if call.get("type") == "custom" or "custom" in call:
                name, args = (call.get("custom") or {}).get("name"), _custom_input(call)
            pieces.append({"index": index, "id": call.get("id"), "name": name, "args": args, "type": "tool_call_chunk"})
            extras = _call_extras(call)
            if extras:
                beyond[self._ids.get(index, "")] = extras
        kept = {"tool_call_extras": beyond} if beyond else {}
        return AIMessageChunk(content="", tool_call_chunks=pieces, additional_kwargs=kept, response_metadata=self._mark)

    def _beside(self, delta: Mapping[str, Any]) -> dict[str, Any]:
        """Reasoning is kept as text and as numbered blocks, whose pieces LangChain joins by their index."""
        kept = {key: value for key, value in delta.items() if key not in _NOT_BESIDE and value is not None}
        text, ended = kept.get("reasoning_content"), kept.pop("thinking_blocks", None)
        blocks: list[dict[str, Any]] = []
        if text:
            begun = {} if self._within_block else {"type": "thinking"}
            blocks.append({"index": self._blocks, **begun, "thinking": text})
            self._within_block = True
        for block in ended or ():
            if block.get("data") and self._within_block:  # what can be read went before and got no signature
                self._blocks, self._within_block = self._blocks + 1, False
            known = ("thinking", "type") if self._within_block else ()
            blocks.append({"index": self._blocks, **{key: value for key, value in block.items() if key not in known}})
            self._blocks, self._within_block = self._blocks + 1, False
        return kept | ({"thinking_blocks": blocks} if blocks else {})


def _custom_input(call: Mapping[str, Any]) -> str | None:
    """A custom tool's input is free text, which LangChain wants as one argument."""
    text = (call.get("custom") or {}).get("input")
    return json.dumps({"__arg1": text}) if text else None


def _chunk(message: AIMessageChunk) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=message)
