"""The name of a dialect -> the dialect. A file is imported when its dialect is first asked for, so unused ones cost nothing."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from dragoman.core.errors import ConfigurationError

_MODULES = {
    "openai_chat": "dragoman.dialects.openai_chat",
    "anthropic_messages": "dragoman.dialects.anthropic_messages",
    "openai_embeddings": "dragoman.dialects.embeddings",
}


@cache
def get(name: str) -> Any:
    """The dialect called `name` (see `base.Dialect`). Raises ConfigurationError that lists the names there are."""
    module = _MODULES.get(name)
    if module is None:
        raise ConfigurationError(f"no dialect is called {name!r}; there are: {', '.join(sorted(_MODULES))}")
    return import_module(module).DIALECT
