"""Subtitles: SubRip (srt) and WebVTT (vtt) out of timed text, and timed text out of them. Pure; called by transcriptions.

Where a provider timed words but no sentences, `cues` makes lines of them. Styles, positions and notes of WebVTT are not read.
"""

from __future__ import annotations

import re
from typing import Literal

from dragoman.core.media import Segment, TranscriptionResponse, Word

Format = Literal["srt", "vtt"]
MAX_WORDS = 12
"""Words of one line, where we make the lines."""

_SENTENCE_END = (".", "!", "?", "…", "\u3002", "\uff01", "\uff1f")
_TIMES = re.compile(r"((?:\d+:)?\d\d?:\d\d[.,]\d{1,3})\s*-->\s*((?:\d+:)?\d\d?:\d\d[.,]\d{1,3})")


def write(form: Format, segments: tuple[Segment, ...]) -> str:
    return _srt(segments) if form == "srt" else _vtt(segments)


def read(text: str) -> tuple[Segment, ...] | None:
    """The cues of a srt or vtt file; None where the text is neither."""
    text = text.lstrip("\ufeff").replace("\r\n", "\n")
    blocks = [block.strip("\n") for block in re.split(r"\n{2,}", text.strip())]
    if not blocks or not (blocks[0].startswith("WEBVTT") or _cue(blocks[0])):
        return None
    return tuple(cue for block in blocks if (cue := _cue(block)))


def cues(response: TranscriptionResponse) -> tuple[Segment, ...]:
    """The segments, or lines made of the words; empty where there are no times."""
    return response.segments or lines(response.words or ())


def lines(words: tuple[Word, ...]) -> tuple[Segment, ...]:
    """Lines of words that were timed and not put into sentences."""
    found: list[list[Word]] = []
    for word in words:
        if not found or len(found[-1]) == MAX_WORDS or found[-1][-1].word.rstrip().endswith(_SENTENCE_END):
            found.append([])
        found[-1].append(word)
    return tuple(
        Segment(text=" ".join(word.word.strip() for word in line), start=line[0].start, end=line[-1].end) for line in found
    )


def _cue(block: str) -> Segment | None:
    """An optional line that names it, a line of times, lines of text."""
    lines = block.split("\n")
    for place, line in enumerate(lines[:2]):
        times = _TIMES.match(line)
        if times:
            return Segment(text="\n".join(lines[place + 1 :]), start=_seconds(times[1]), end=_seconds(times[2]))
    return None


def _seconds(stamp: str) -> float:
    total = 0.0
    for piece in stamp.replace(",", ".").split(":"):
        total = total * 60 + float(piece)
    return round(total, 3)


def _srt(segments: tuple[Segment, ...]) -> str:
    blocks = (
        f"{number}\n{_stamp(segment.start, ',')} --> {_stamp(segment.end, ',')}\n{_lines(segment)}\n\n"
        for number, segment in enumerate(segments, 1)
    )
    return "".join(blocks)


def _vtt(segments: tuple[Segment, ...]) -> str:
    blocks = (f"{_stamp(segment.start, '.')} --> {_stamp(segment.end, '.')}\n{_lines(segment)}\n\n" for segment in segments)
    return "WEBVTT\n\n" + "".join(blocks)


def _lines(segment: Segment) -> str:
    """The text without the blank lines that would end the cue."""
    return "\n".join(line for line in segment.text.strip().splitlines() if line.strip())


def _stamp(seconds: float, point: str) -> str:
    whole, thousandths = divmod(round(max(0.0, seconds) * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{point}{thousandths:03}"
