"""The constructor's keywords, sorted: second spellings, old names, and what is no field at all.

Nothing is dropped in silence: a keyword that no field takes goes to the provider, with a warning that names its neighbours.
Keys and headers that were hidden in `model_kwargs` become fields, so that they are kept secret. Called by validators in `base`.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

ALIASES = {
    "model_name": "model",
    "base_url": "api_base",
    "timeout": "request_timeout",
    "stop_sequences": "stop",
    "include_usage": "stream_usage",
    "default_headers": "extra_headers",
    "num_retries": "max_retries",
}
"""Second spelling -> the field."""

_SECOND_WINS = frozenset({"model_name"})
"""Of these, when both spellings were given, the second one holds; of the others the field does."""

_UNUSED = {
    "proxy_base_url": "pass api_base",
    "openai_api_base": "pass api_base",
    "use_responses_api": "name the model provider/responses/model",
}


def canonical(given: Mapping[str, Any]) -> dict[str, Any]:
    """One spelling each. None means "not said"."""
    said = dict(given)
    for second, field in ALIASES.items():
        if second in said:
            value = said.pop(second)
            if value is not None and (said.get(field) is None or second in _SECOND_WINS):
                said[field] = value
    _effort(said)
    return said


def _effort(said: dict[str, Any]) -> None:
    """A `reasoning` that says an effort alone is `reasoning_effort`, which every provider is told in its own words."""
    reasoning = said.get("reasoning")
    if isinstance(reasoning, Mapping) and reasoning.keys() == {"effort"}:
        del said["reasoning"]
        if said.get("reasoning_effort") is None:
            said["reasoning_effort"] = reasoning["effort"]


def sorted_arguments(given: Mapping[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """Raises ValueError for a keyword that would be sent twice, or that names an address in a way nobody reads."""
    said = canonical(given)
    _callbacks(said)
    for name in _UNUSED.keys() - fields:
        if said.pop(name, None):
            raise ValueError(f"{name} is not read here: {_UNUSED[name]}")
    unknown = {name: said.pop(name) for name in [*said] if name not in fields}
    kwargs = dict(said.get("model_kwargs") or {})
    for name in unknown:
        if name in kwargs:
            raise ValueError(f"{name} is given twice: once by itself and once in model_kwargs")
        _warn_unknown(name, fields)
    for name in ("api_key", "extra_headers"):
        if name in kwargs and name in fields:
            value = kwargs.pop(name)
            said[name] = value if said.get(name) is None else said[name]
    return said | {"model_kwargs": kwargs | unknown}


def _warn_unknown(name: str, fields: Collection[str]) -> None:
    near = get_close_matches(name, fields, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    text = f"{name} is no field{hint}: it goes to the provider as a parameter; put it into model_kwargs if it is meant so"
    warnings.warn(text, UserWarning, stacklevel=6)


def _callbacks(said: dict[str, Any]) -> None:
    """`callback_manager` of older programs."""
    if "callback_manager" in said:
        manager = said.pop("callback_manager")
        if manager is not None:
            warnings.warn("callback_manager is the old name of callbacks", DeprecationWarning, stacklevel=6)
            said["callbacks"] = manager
