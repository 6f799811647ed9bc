"""Prompt templates: `[name]` and `{{name}}` in any text of the parameters are replaced by what the request brings. Pure.

Only a plain name in brackets is a place to fill: a Markdown link, a footnote `[1]` and a JSON array are text, and so is a
place with a backslash before it. What is filled in is never read as a template again. A name that the request lacks is an
error that says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dragoman.core.errors import BadRequestError

_PLACE = re.compile(r"\\(?P<text>\[[^\[\]]*\])|\[(?P<old>[A-Za-z_][\w-]*)\](?!\()|\{\{\s*(?P<new>[A-Za-z_][\w-]*)\s*\}\}")
MAX_DEPTH = 64


def fill(value: Any, given: Mapping[str, Any], place: str = "data.inputData") -> Any:
    """`value` with every text in it filled. Raises BadRequestError that names all variables which are missing at `place`."""
    missing: dict[str, None] = {}
    filled = _filled(value, given, missing, 0)
    if missing:
        names = ", ".join(missing)
        raise BadRequestError(f"{place}: missing {names}; the prompt needs {'it' if len(missing) == 1 else 'them'}")
    return filled


def variables(value: Any) -> list[str]:
    """The names that a prompt needs, in order."""
    missing: dict[str, None] = {}
    _filled(value, {}, missing, 0)
    return list(missing)


def _filled(value: Any, given: Mapping[str, Any], missing: dict[str, None], depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise BadRequestError("the prompt is nested too deeply")
    if isinstance(value, str):
        return _PLACE.sub(lambda found: _one(found, given, missing), value)
    if isinstance(value, list):
        return [_filled(item, given, missing, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _filled(item, given, missing, depth + 1) for key, item in value.items()}
    return value


def _one(found: re.Match[str], given: Mapping[str, Any], missing: dict[str, None]) -> str:
    if found["text"] is not None:
        return str(found["text"])
    name = found["old"] or found["new"]
    if name not in given or given[name] is None:
        missing[name] = None
        return found[0]
    value = given[name]
    return value if isinstance(value, str) else str(value)
