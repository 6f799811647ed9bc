"""What one request says of the cache: LiteLLM's `cache={...}` and `caching=`, and headers of the same words. Pure.

no-cache    ask the provider, and keep the answer          s-maxage    an answer may be so many seconds old
no-store    keep nothing of this                           namespace   answers of this name only
ttl         keep the answer for so many seconds            use-cache   for a cache that is off unless asked for
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from dragoman.core.errors import BadRequestError, ErrorDetail


class Controls(Struct, frozen=True, kw_only=True):
    """`ttl` and `max_age` are seconds; None leaves them to the cache. `wanted` is None where nothing was said."""

    read: bool = True
    write: bool = True
    ttl: float | None = None
    max_age: float | None = None
    namespace: str = ""
    wanted: bool | None = None


NO_CONTROLS = Controls()


def controls(given: Any, *, field: str = "cache") -> Controls:
    """Of a dict in the words above. Raises BadRequestError that names the word, what was found and what is expected."""
    if given is None:
        return NO_CONTROLS
    if not isinstance(given, Mapping):
        raise _bad(field, given, "a dict, such as {'no-cache': True, 'ttl': 60}")
    said: dict[str, Any] = {}
    for name, value in given.items():
        if name not in _WORDS:
            raise BadRequestError(
                f"{field}: unknown word {name!r}; there are: {', '.join(_WORDS)}", detail=ErrorDetail(message="", param=field)
            )
        word, read = _WORDS[name]
        if value is not None:
            said[word] = read(f"{field}.{name}", value)
    return Controls(**said)


def directives(text: str) -> dict[str, Any]:
    """The same words in a header: `no-cache, ttl=60`. What is no number stays a text."""
    found: dict[str, Any] = {}
    for directive in text.split(","):
        name, equals, value = directive.strip().partition("=")
        if name:
            found[name.lower()] = _number_in(value) if equals else True
    return found


def _number_in(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text.strip('"')


def _yes(place: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _bad(place, value, "true or false")
    return value


def _not(place: str, value: Any) -> bool:
    return not _yes(place, value)


def _seconds(place: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise _bad(place, value, "seconds from 0 up")
    return float(value)


def _text(place: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise _bad(place, value, "a name")
    return value


def _bad(place: str, value: Any, expected: str) -> BadRequestError:
    return BadRequestError(f"{place}: expected {expected}, found {value!r}", detail=ErrorDetail(message="", param=place))


_WORDS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "no-cache": ("read", _not),
    "no-store": ("write", _not),
    "ttl": ("ttl", _seconds),
    "s-maxage": ("max_age", _seconds),
    "s-max-age": ("max_age", _seconds),
    "namespace": ("namespace", _text),
    "use-cache": ("wanted", _yes),
}
"""LiteLLM's word -> our field, and what reads its value."""
