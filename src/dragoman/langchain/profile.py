"""What the catalog knows of a model, as LangChain's model profile; and who serves a model, as traces name it.

A fact that is not known is left out. The catalog is read when the first model is made, never in the middle of a call.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dragoman.core.errors import DragomanError
from dragoman.providers import registry

if TYPE_CHECKING:
    from dragoman.catalog.records import Model

_UNKNOWN = "dragoman"
"""The provider of a name that tells none, such as a model group of a router."""


@lru_cache(maxsize=1024)
def who_serves(model: str, provider: str | None = None, api_base: str | None = None) -> tuple[str, str]:
    """(provider, the model's name there). A name that tells no provider is served by "dragoman"."""
    try:
        row, name = registry.split(model, provider=provider, base_url=api_base)
    except DragomanError:
        return _UNKNOWN, model
    return row.name, name


@lru_cache(maxsize=1024)
def speaks_responses(model: str, provider: str | None = None, api_base: str | None = None) -> bool:
    """Whether a chat with the model goes over OpenAI's Responses API."""
    try:
        row, name = registry.split(model, provider=provider, base_url=api_base)
    except DragomanError:
        return False
    return registry.for_model(row, name).dialects.get("chat") == "openai_responses"


@lru_cache(maxsize=1024)
def over_responses(model: str, provider: str | None = None, api_base: str | None = None) -> str:
    """The name by which the model is asked over that API. Raises ValueError where its provider has none."""
    served_by, name = who_serves(model, provider, api_base)
    asked = f"{served_by}/responses/{name}"
    if not speaks_responses(asked):
        raise ValueError(f"use_responses_api: {served_by} offers no Responses API, which {model!r} would need; leave it out")
    return asked


@lru_cache(maxsize=1024)
def marks_failures(provider: str) -> bool:
    """Whether the provider's chat is not in OpenAI's dialect, which has no mark for a tool that failed."""
    row = None if provider == _UNKNOWN else registry.DEFAULT.find(provider)
    return row is not None and row.dialects.get("chat", "openai_chat") != "openai_chat"


@lru_cache(maxsize=1024)
def key_variable(provider: str) -> str:
    """The environment variable that a key of the provider is read from; a name of ours for one that has none."""
    row = None if provider == _UNKNOWN else registry.DEFAULT.find(provider)
    return row.key_variables[0] if row is not None and row.key_variables else "DRAGOMAN_API_KEY"


def profile_of(model: str, provider: str | None = None) -> Any:
    """A ModelProfile; None for a model that the catalog does not know."""
    from dragoman.client.models import find_model  # noqa: PLC0415 - the catalog is read by who makes a model

    found = find_model(model, provider)
    if found is None:
        return None
    return {key: value for key, value in _facts(found.model).items() if value is not None}


def _facts(record: Model) -> dict[str, Any]:
    inputs, outputs = record.inputs, record.outputs
    can = record.abilities.get
    return {
        "name": record.name,
        "max_input_tokens": record.context_window,
        "max_output_tokens": record.max_output,
        "text_inputs": _takes("text", inputs),
        "image_inputs": _takes("image", inputs),
        "pdf_inputs": _takes("pdf", inputs),
        "audio_inputs": _takes("audio", inputs),
        "video_inputs": _takes("video", inputs),
        "text_outputs": _takes("text", outputs),
        "image_outputs": _takes("image", outputs),
        "audio_outputs": _takes("audio", outputs),
        "tool_calling": can("tools"),
        "tool_choice": can("tool_choice"),
        "structured_output": can("structured_output"),
        "reasoning_output": can("reasoning"),
    }


def _takes(kind: str, kinds: tuple[str, ...]) -> bool | None:
    """Where a list leaves out even text, what else it leaves out is not known to be refused."""
    return True if kind in kinds else False if "text" in kinds else None
