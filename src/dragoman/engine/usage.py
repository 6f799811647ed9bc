"""Usage of several attempts as one. Pure; `call` and `splice` add up what a call took."""

from __future__ import annotations

from msgspec.structs import astuple

from dragoman.core.chat import Usage


def added(first: Usage | None, second: Usage | None) -> Usage | None:
    """The sum of the counts; None is unknown and adds nothing. `extra` is the second one's."""
    if first is None or second is None:
        return second or first
    counts = zip(astuple(first)[:-1], astuple(second)[:-1], strict=True)
    names = Usage.__struct_fields__[:-1]
    return Usage(**dict(zip(names, map(sum, counts), strict=True)), extra=second.extra)
