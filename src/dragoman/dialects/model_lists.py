"""What the dialects that list models share: a model's facts under all their names, and who lists in which dialect.

A list is asked for with GET and nothing in the body; `page` gives the path, page by page. An answer that is one model alone
is read as a list of one. Ids are as a call names the model; lists say nothing of prices here, the catalog does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import Any

from dragoman.core.errors import ResponseDecodeError
from dragoman.core.operations import ListedModel
from dragoman.dialects.media_wire import left_over, read_answer, text_or_none
from dragoman.dialects.operation_wire import Body, WholeAnswers, count

PAGE_SIZE = 1000

LISTED_IN = {
    "openai_chat": "openai_models",
    "openai_responses": "openai_models",
    "anthropic_messages": "anthropic_models",
    "gemini": "gemini_models",
    "ollama_chat": "ollama_models",
    "cohere_chat": "cohere_models",
}
"""The dialect that a provider chats in -> the one it lists its models in. Clouds, which are not here, list at other hosts."""

_CONTEXT = ("context_window", "context_length", "max_context_length", "max_model_len", "max_input_tokens", "inputTokenLimit")
_OUTPUT = ("max_output_tokens", "max_completion_tokens", "max_output_length", "outputTokenLimit")
_NAMES = ("display_name", "displayName", "name")
_CREATED = ("created", "created_at", "modified_at")
_READ = frozenset({*_CONTEXT, *_OUTPUT, *_NAMES, *_CREATED, "id", "object", "type", "owned_by", "description"})


class ModelList(WholeAnswers, ABC):
    """The verbs of an upstream half that only asks. `method` says how."""

    method = "GET"

    def path(self, model: str = "", *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; a list is of all models
        return self.page(None)

    @abstractmethod
    def page(self, cursor: str | None) -> str:
        """The path of the page that an earlier one called its `next_page`; None is the first."""


def read_items(body: bytes, key: str) -> tuple[list[Any], Body]:
    """The models of an answer, and the answer. Raises ResponseDecodeError, or what an error inside a 200 stands for."""
    value = read_answer(body)
    items = value.get(key, [value])
    if not isinstance(items, list):
        raise ResponseDecodeError(f"the answer holds no array `{key}`")
    return items, value


def read_model(item: Any, place: int, dialect: str, *id_keys: str) -> ListedModel:
    """One model. Raises ResponseDecodeError for what has no id; any other field may be missing or make no sense."""
    id_ = next((item[key] for key in id_keys if text_or_none(item.get(key))), None) if isinstance(item, dict) else None
    if id_ is None:
        raise ResponseDecodeError(f"model {place} of the list has no {' or '.join(id_keys)}")
    name = next((text_or_none(item.get(key)) for key in _NAMES if key not in id_keys and item.get(key)), None)
    return ListedModel(
        id=id_,
        name=name,
        created=next((read for key in _CREATED if (read := seconds(item.get(key))) is not None), None),
        owned_by=text_or_none(item.get("owned_by")),
        description=text_or_none(item.get("description")),
        context_window=count(item, *_CONTEXT) or None,
        max_output_tokens=count(item, *_OUTPUT) or None,
        extra=left_over(item, _READ | {*id_keys}, dialect),
    )


def seconds(moment: Any) -> int | None:
    """Unix seconds, from a number or an ISO date."""
    if type(moment) is int:
        return moment
    try:
        return int(datetime.fromisoformat(moment).timestamp()) if isinstance(moment, str) else None
    except ValueError:
        return None


def iso_date(seconds: int | None) -> str:
    """The moment as an ISO date in UTC; the epoch where it is not known, as Anthropic writes it."""
    return datetime.fromtimestamp(seconds or 0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
