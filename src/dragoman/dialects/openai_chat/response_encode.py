"""ChatResponse -> a chat completion object (downstream half), for OpenAI clients and those of LiteLLM.

OpenAI's fields always; `reasoning_content`, `thinking_blocks`, `images` and the like where there is something to say.
What this dialect kept in `extra` is written back; the `extra` of other dialects is not this dialect's to say.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import ChatResponse, Choice, TextPart
from dragoman.dialects.openai_chat.message import write_assistant
from dragoman.dialects.openai_chat.usage import encode_usage
from dragoman.dialects.openai_chat.wire import finish_word, own, write_logprobs


def encode_response(response: ChatResponse, *, now: int) -> bytes:
    body: dict[str, Any] = {
        "id": response.id,
        "object": "chat.completion",
        "created": now if response.created is None else response.created,
        "model": response.model,
        "choices": [_choice(choice) for choice in response.choices],
    }
    if response.usage is not None:
        body["usage"] = encode_usage(response.usage)
    if response.service_tier is not None:
        body["service_tier"] = response.service_tier
    body["system_fingerprint"] = response.system_fingerprint
    return json.encode(body | own(response.extra))


def _choice(choice: Choice) -> dict[str, Any]:
    beyond = own(choice.extra)
    message = _message(choice)
    written = {
        "index": choice.index,
        "message": message | beyond.get("message", {}),
        "logprobs": write_logprobs(choice.logprobs),
        "finish_reason": finish_word(choice.finish, legacy="function_call" in message),
    }
    if choice.finish is not None and choice.finish.stop_sequence is not None:
        written["stop_reason"] = choice.finish.stop_sequence
    return written | {key: value for key, value in beyond.items() if key != "message"}


def _message(choice: Choice) -> dict[str, Any]:
    fields = write_assistant(choice.parts, replay=False)
    return {"role": "assistant", "content": _content(choice, fields), "refusal": None} | fields


def _content(choice: Choice, beside: dict[str, Any]) -> str | None:
    """The texts joined; null beside calls, a refusal or audio alone."""
    text = "".join(part.text for part in choice.parts if isinstance(part, TextPart))
    alone = beside.keys() & {"tool_calls", "function_call", "refusal", "audio"}
    return text if text or not alone else None
