"""Times of a call, in seconds, for whoever watches it. Pure: everything is read from the call and its clock."""

from __future__ import annotations

from dragoman.engine.call import Call


def elapsed(call: Call) -> float:
    """From the first attempt until now; 0 where none was made."""
    return call.clock() - call.attempts[0].began if call.clock is not None and call.attempts else 0.0


def first_chunk(call: Call) -> float | None:
    """From the first attempt until the first event of a stream had come; None where there was none."""
    if not call.stream:
        return None
    begun = [attempt for attempt in call.attempts if attempt.reason != "continuation"]
    if not begun or begun[-1].error is not None or begun[-1].ended is None:
        return None
    return begun[-1].ended - call.attempts[0].began
