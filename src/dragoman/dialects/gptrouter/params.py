"""`promptParams` -> a chat completion body of OpenAI's, which is what they are but for a few words of GPTRouter's own.

What has a word there is renamed, what is about the answer's form is taken out as `Manner`, what nobody takes any more is
left out with a Warning. Everything else goes through as it came: no parameter is lost for being unknown here.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from dragoman.core.chat import Warning
from dragoman.core.json import kind
from dragoman.dialects.openai_chat.reader import mismatch, refuse

LABELS = ("tag", "user_id", "history_id", "appId", "metadata")
"""Written into the parameters by some clients: they are for the books, and no provider's business."""


class Manner(Struct, frozen=True, kw_only=True):
    """How the answer is wanted. `thinking_in_text`: reasoning stands in the text, in a tag."""

    thinking_in_text: bool = False


class ChatBody(Struct, frozen=True, kw_only=True):
    """`fields` are the body without `model` and `stream`."""

    fields: dict[str, Any]
    manner: Manner = Manner()
    labels: dict[str, Any] = {}
    warnings: tuple[Warning, ...] = ()


def chat_body(params: dict[str, Any], path: str) -> ChatBody:
    """Raises BadRequestError with the path of what is wrong."""
    fields = {key: value for key, value in params.items() if value is not None}
    labels = {key: fields.pop(key) for key in LABELS if key in fields}
    manner = Manner(thinking_in_text=bool(fields.pop("colasce_into_thinking_tag", False)))
    warnings = _unsaid(fields, path)
    messages = _messages(fields, path)
    stop = _stop(fields, path)
    _output_config(fields)
    if "user" not in fields and type(labels.get("user_id")) is str and labels["user_id"]:
        fields["user"] = labels["user_id"]
    return ChatBody(fields={**fields, "messages": messages, **stop}, manner=manner, labels=labels, warnings=warnings)


def _unsaid(fields: dict[str, Any], path: str) -> tuple[Warning, ...]:
    """Takes out what has no meaning any more. `use_response_api` names a provider's endpoint, which is ours to choose."""
    fields.pop("use_response_api", None)
    found = [key for key in _UNSAID if fields.pop(key, None)]
    return tuple(Warning(field=f"{path}.{key}", message=_UNSAID[key]) for key in found)


_UNSAID = {
    "best_of": "left out: chat models answer n times, and nobody picks the best of more; use n",
    "raw_event": "left out: events are the same whoever answers, and the provider's own are not shown",
}


def _messages(fields: dict[str, Any], path: str) -> list[Any]:
    """The conversation; a prompt is a user's message, and an `image_url` beside them belongs to the last one."""
    messages, prompt, image = fields.pop("messages", None), fields.pop("prompt", None), fields.pop("image_url", None)
    if messages and prompt:
        refuse(f"{path}.prompt", "stands beside messages: send one of them")
    if messages is not None and type(messages) is not list:
        mismatch(f"{path}.messages", "an array of messages", messages)
    if prompt is not None and type(prompt) is not str:
        mismatch(f"{path}.prompt", "a string", prompt)
    found = [_said(message) for message in messages] if messages else [{"role": "user", "content": prompt or ""}]
    return _with_image(found, image, f"{path}.image_url") if image else found


def _said(message: Any) -> Any:
    """A message without its nulls, which clients write for whatever they know; `content` may be one."""
    if type(message) is not dict:
        return message
    return {key: value for key, value in message.items() if value is not None or key == "content"}


def _with_image(messages: list[Any], image: Any, path: str) -> list[Any]:
    if type(image) is not str:
        mismatch(path, "a URL", image)
    last = messages[-1]
    if type(last) is not dict or last.get("role") != "user":
        refuse(path, "an image goes with the last message, which must be a user's")
    content = last.get("content") or []
    parts = [{"type": "text", "text": content}] if type(content) is str else list(content)
    return [*messages[:-1], {**last, "content": [*parts, {"type": "image_url", "image_url": {"url": image}}]}]


def _stop(fields: dict[str, Any], path: str) -> dict[str, Any]:
    """`stop` and `stop_sequences` are one thing."""
    named, other = fields.pop("stop", None), fields.pop("stop_sequences", None)
    if named and other and named != other:
        refuse(f"{path}.stop_sequences", "differs from stop: send one of them")
    found = named or other
    if found is not None and type(found) not in (str, list):
        refuse(f"{path}.stop", f"expected a string or an array of strings, found {kind(found)}")
    return {"stop": found} if found else {}


def _output_config(fields: dict[str, Any]) -> None:
    """Anthropic's `output_config`: an effort and a format, for which OpenAI has words of its own."""
    config = fields.get("output_config")
    if type(config) is not dict or config.keys() - {"effort", "format"}:
        return
    del fields["output_config"]
    if config.get("effort"):
        fields.setdefault("reasoning_effort", config["effort"])
    form = config.get("format")
    if type(form) is dict and form.get("type") == "json_schema":
        schema = {"name": form.get("name") or "answer", "schema": form.get("schema")}
        fields.setdefault("response_format", {"type": "json_schema", "json_schema": schema})
