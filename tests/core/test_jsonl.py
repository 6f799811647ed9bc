"""JSON lines: in every slicing, within bounds."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.jsonl import JSONLinesDecoder, LineTooLongError
from support.recordings import exchanges
from support.slicing import byte_by_byte, cut, cut_places, drain

STREAMS = [
    ("two lines", b'{"a":1}\n{"b":2}\n', [b'{"a":1}', b'{"b":2}']),
    ("no final line end", b"1\n2", [b"1", b"2"]),
    ("blank lines and spaces", b"\n\n 1 \n  \n2\n\n", [b"1", b"2"]),
    ("a BOM at the start", b"\xef\xbb\xbf1\n2\n", [b"1", b"2"]),
    ("a BOM elsewhere is kept", b"1\n\xef\xbb\xbf2\n", [b"1", b"\xef\xbb\xbf2"]),
    ("only a BOM", b"\xef\xbb\xbf", []),
    ("characters of several bytes", '"ä€😀"\n'.encode(), ['"ä€😀"'.encode()]),
    ("nothing", b"", []),
]
ENDS = [b"\n", b"\r\n", b"\r"]


@pytest.mark.parametrize("end", ENDS, ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize(("data", "lines"), [row[1:] for row in STREAMS], ids=[row[0] for row in STREAMS])
def test_streams(data, lines, end):
    sent = data.replace(b"\n", end)
    assert drain(JSONLinesDecoder(), [sent]) == lines
    assert drain(JSONLinesDecoder(), byte_by_byte(sent)) == lines
    assert all(drain(JSONLinesDecoder(), cut(sent, [place])) == lines for place in range(len(sent) + 1))


@given(st.lists(st.sampled_from([b"{}", b"1", b" ", b"\r", b"\n", b"\r\n", b"\xef\xbb\xbf"])), cut_places)
def test_slicing_never_matters(pieces, places):
    data = b"".join(pieces)
    assert drain(JSONLinesDecoder(), cut(data, places)) == drain(JSONLinesDecoder(), [data])


def test_a_line_is_given_when_its_end_comes_and_not_later():
    decoder = JSONLinesDecoder()
    assert decoder.feed(b"1") == []
    assert decoder.feed(b"\n2") == [b"1"]
    assert decoder.flush() == [b"2"]
    assert decoder.flush() == []


@pytest.mark.parametrize("slicing", [lambda data: [data], byte_by_byte], ids=["whole", "byte by byte"])
def test_a_line_is_bounded_and_the_stream_is_not(slicing):
    assert len(drain(JSONLinesDecoder(max_line_bytes=10), slicing(b"123456789\n" * 20))) == 20
    with pytest.raises(LineTooLongError, match="over 10 bytes"):
        drain(JSONLinesDecoder(max_line_bytes=10), slicing(b"12345678901"))


RECORDED = [entry for kind in ("api_chat", "chat_v1") for entry in exchanges(kind, streaming=True, ok=True)]


@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry.id)
def test_recorded_streams_are_lines_of_json(entry):
    data = entry.load().response_bytes
    lines = drain(JSONLinesDecoder(), [data])
    assert lines
    assert all(isinstance(json.loads(line), dict) for line in lines)
    assert drain(JSONLinesDecoder(), byte_by_byte(data)) == lines
