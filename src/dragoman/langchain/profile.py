"""What the catalog knows of a model, as LangChain's model profile; and who serves a model, as traces name it.

A fact that is not known is left out. The catalog is read when the first model is made, never in the middle of a call.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from dragoman.catalog.records import Model
from dragoman.client.models import find_model
from dragoman.core.errors import DragomanError
from dragoman.providers import registry

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
def key_variable(provider: str) -> str:
    """The environment variable that a key of the provider is read from; a name of ours for one that has none."""
    row = None if provider == _UNKNOWN else registry.DEFAULT.find(provider)
    return row.key_variables[0] if row is not None and row.key_variables else "DRAGOMAN_API_KEY"


def profile_of(model: str, provider: str | None = None) -> Any:
    """A ModelProfile; None for a model that the catalog does not know."""
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
        "text_inputs": "text" in inputs if inputs else None,
        "image_inputs": "image" in inputs if inputs else None,
        "pdf_inputs": "pdf" in inputs if inputs else None,
        "audio_inputs": "audio" in inputs if inputs else None,
        "video_inputs": "video" in inputs if inputs else None,
        "text_outputs": "text" in outputs if outputs else None,
        "image_outputs": "image" in outputs if outputs else None,
        "audio_outputs": "audio" in outputs if outputs else None,
        "tool_calling": can("tools"),
        "tool_choice": can("tool_choice"),
        "structured_output": can("structured_output"),
        "reasoning_output": can("reasoning"),
    }
