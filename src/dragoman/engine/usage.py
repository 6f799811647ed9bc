"""Usage of several attempts as one, and taken apart again. Pure. `call`, `splice` and `price` reckon with it."""

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


def less(whole: Usage | None, part: Usage | None) -> Usage | None:
    """What is left of the whole without a part of it."""
    if whole is None or part is None:
        return whole
    counts = zip(astuple(whole)[:-1], astuple(part)[:-1], strict=True)
    left = [max(0, count - taken) for count, taken in counts]
    return Usage(**dict(zip(Usage.__struct_fields__[:-1], left, strict=True)), extra=whole.extra)
