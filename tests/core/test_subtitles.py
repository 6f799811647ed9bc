"""Subtitles: what is written is read back, lines made of words, and files that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import subtitles
from dragoman.core.media import Segment, TranscriptionResponse, Word

MILLISECONDS = st.integers(0, 359_999_000).map(lambda number: round(number / 1000, 3))
LINES = st.text("abc äö?.-", min_size=1, max_size=20).map(str.strip).filter(bool)
SEGMENTS = st.lists(st.builds(Segment, text=LINES, start=MILLISECONDS, end=MILLISECONDS), min_size=1, max_size=4).map(tuple)


@given(SEGMENTS, st.sampled_from(["srt", "vtt"]))
def test_what_is_written_is_read_back(segments, form):
    assert subtitles.read(subtitles.write(form, segments)) == segments


def test_the_two_forms():
    segments = (Segment(text=" Hello.\n\nWorld ", start=0, end=1.5), Segment(text="Bye", start=3661.0004, end=3662))
    assert subtitles.write("srt", segments) == (
        "1\n00:00:00,000 --> 00:00:01,500\n Hello.\nWorld\n\n2\n01:01:01,000 --> 01:01:02,000\nBye\n\n".replace(
            " Hello", "Hello"
        )
    )
    assert subtitles.write("vtt", segments).startswith("WEBVTT\n\n00:00:00.000 --> 00:00:01.500\nHello.\nWorld\n\n")
    assert subtitles.write("vtt", ()) == "WEBVTT\n\n"


@pytest.mark.parametrize("text", ["", "Hello there", "1\nHello\n", "The film begins at 00:00:01 --> never"])
def test_text_is_no_subtitle(text):
    assert subtitles.read(text) is None


def test_short_times_notes_and_windows_line_ends():
    text = "\ufeffWEBVTT\r\n\r\nNOTE a note\r\n\r\nname of it\r\n00:01.000 --> 00:02.5 align:left\r\nHello\r\nthere\r\n"
    assert subtitles.read(text) == (Segment(text="Hello\nthere", start=1.0, end=2.5),)


def test_lines_are_made_of_words():
    words = tuple(
        Word(word=word, start=float(place), end=place + 0.5) for place, word in enumerate(["Hello.", *"abcdefghijklmn"])
    )
    lines = subtitles.cues(TranscriptionResponse(text="", words=words))
    assert [(line.text, line.start, line.end) for line in lines] == [
        ("Hello.", 0.0, 0.5),
        ("a b c d e f g h i j k l", 1.0, 12.5),
        ("m n", 13.0, 14.5),
    ]
    assert subtitles.cues(TranscriptionResponse(text="no times")) == ()
