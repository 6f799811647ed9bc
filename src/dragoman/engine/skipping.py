"""A malformed event in the middle of a stream, left out: the stream is decoded anew without it. Pure; used by `streams`.

Decoders end at the first event that makes no sense. As a rule the provider goes on after it, and the client has lost a few
characters, not the answer. Only where events stand by themselves (SSE).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from dragoman.core.chat import Warning
from dragoman.core.events import Event, StreamError
from dragoman.dialects.base import StreamDecoder

_EVENT = re.compile(rb".*?(?:\r?\n\r?\n|\r\r|\Z)", re.DOTALL)


class Reread(NamedTuple):
    """`events` are those of the whole stream so far, `data` its bytes without what was skipped."""

    reader: StreamDecoder
    events: list[Event]
    data: bytes
    skipped: list[Warning]


def reread(data: bytes, fresh: Callable[[], StreamDecoder], most: int) -> Reread | None:
    """Decode what has come, less the events that cannot be. None when those are over `most`, or one that has not ended yet."""
    frames = [frame for frame in _EVENT.findall(data) if frame]
    skipped: list[Warning] = []
    while True:
        reader = fresh()
        events: list[Event] = []
        bad = _decode(reader, frames, events)
        if bad is None:
            return Reread(reader, events, b"".join(frames), skipped)
        place, problem = bad
        if len(skipped) == most or not frames[place].endswith((b"\n", b"\r")):
            return None
        skipped.append(Warning(field="stream", message=f"an event was skipped: {problem}"))
        del frames[place]


def _decode(reader: StreamDecoder, frames: list[bytes], events: list[Event]) -> tuple[int, str] | None:
    """Adds to `events`. The first frame that makes no sense, and what is wrong with it."""
    for place, frame in enumerate(frames):
        found = reader.feed(frame)
        if found and isinstance(found[-1], StreamError) and found[-1].broken:
            return place, found[-1].message
        events += found
    return None
