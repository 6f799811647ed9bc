"""Server-sent events: the standard's rules, in every slicing, within bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.sse import DONE, ServerSentEvent, SSEDecoder, SSETooLargeError, encode_event
from support.recordings import exchanges
from support.slicing import byte_by_byte, cut, cut_places, drain

E = ServerSentEvent

STREAMS = [
    # bytes with LF, the events
    ("one event", b"data: a\n\n", [E(b"a")]),
    ("two events", b"data: a\n\ndata: b\n\n", [E(b"a"), E(b"b")]),
    ("a name and an id", b"event: e\nid: 7\ndata: a\n\n", [E(b"a", "e", "7")]),
    ("the id stays, the name does not", b"event: e\nid: 7\ndata: a\n\ndata: b\n\n", [E(b"a", "e", "7"), E(b"b", "", "7")]),
    ("data lines are joined", b"data: a\ndata:\ndata: b\n\n", [E(b"a\n\nb")]),
    ("one space belongs to the colon", b"data:a\n\ndata:  b\n\n", [E(b"a"), E(b" b")]),
    ("comments and unknown fields", b": ping\nretry: 5\nnonsense\ndata: a\n\n:\n\n", [E(b"a")]),
    ("a name without data is forgotten", b"event: e\n\ndata: a\n\n", [E(b"a")]),
    ("an empty data line is an event", b"data\n\ndata:\n\n", [E(b""), E(b"")]),
    ("blank lines in plenty", b"\n\n\ndata: a\n\n\n\n", [E(b"a")]),
    ("a BOM at the start", b"\xef\xbb\xbfdata: a\n\n", [E(b"a")]),
    ("half a BOM is text", b"\xef\xbbdata: a\n\ndata: b\n\n", [E(b"b")]),
    ("a BOM elsewhere is text", b"data: a\n\n\xef\xbb\xbfdata: b\n\ndata: c\n\n", [E(b"a"), E(b"c")]),
    ("characters of several bytes", "data: ä€😀\n\n".encode(), [E("ä€😀".encode())]),
    ("names that are not UTF-8", b"event: \xff\ndata: a\n\n", [E(b"a", "\ufffd")]),
    ("no final blank line", b"data: a\n", [E(b"a")]),
    ("no final line end", b"data: a\n\ndata: b", [E(b"a"), E(b"b")]),
    ("a tail that is no data", b"data: a\n\nevent: e", [E(b"a")]),
    ("nothing", b"", []),
    ("almost a BOM and nothing else", b"\xef\xbb", []),
]
ENDS = [b"\n", b"\r\n", b"\r"]


@pytest.mark.parametrize("end", ENDS, ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize(("data", "events"), [row[1:] for row in STREAMS], ids=[row[0] for row in STREAMS])
def test_streams(data, events, end):
    sent = data.replace(b"\n", end)
    assert drain(SSEDecoder(), [sent]) == events
    assert drain(SSEDecoder(), byte_by_byte(sent)) == events
    assert all(drain(SSEDecoder(), cut(sent, [place])) == events for place in range(len(sent) + 1))


@given(st.sampled_from(STREAMS), st.sampled_from(ENDS), cut_places)
def test_streams_cut_anywhere(row, end, places):
    _, data, events = row
    assert drain(SSEDecoder(), cut(data.replace(b"\n", end), places)) == events


@given(
    st.lists(st.sampled_from([b"data: a", b"data:b", b"event: e", b":", b"\r", b"\n", b"\r\n", b"\xef\xbb\xbf", b"\xff"])),
    cut_places,
)
def test_slicing_never_matters(pieces, places):
    data = b"".join(pieces)
    assert drain(SSEDecoder(), cut(data, places)) == drain(SSEDecoder(), [data])


def test_an_event_is_given_when_its_blank_line_comes_and_not_later():
    decoder = SSEDecoder()
    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\ndata: b") == [E(b"a")]
    assert decoder.feed(b"\r\r") == [E(b"b")]
    assert decoder.feed(b"\ndata: c\n\n") == [E(b"c")]


texts = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)


@given(st.lists(st.tuples(texts.map(str.encode), texts.map(str.strip))), cut_places)
def test_what_is_encoded_is_decoded(events, places):
    sent = b"".join(encode_event(data, name) for data, name in events)
    assert drain(SSEDecoder(), cut(sent, places)) == [E(data, name) for data, name in events]


def test_the_encoded_form():
    assert encode_event(b"{}") == b"data: {}\n\n"
    assert encode_event(b"{}", "ping") == b"event: ping\ndata: {}\n\n"
    assert drain(SSEDecoder(), [DONE]) == [E(b"[DONE]")]


@pytest.mark.parametrize(
    "data",
    [
        b"data: " + b"x" * 200,  # a line without an end
        b": " + b"x" * 200,
        b"data: " + b"x" * 200 + b"\n\n",
        b"data: xxxxxxxxx\n" * 20,  # an event without an end
        b"data\n" * 200,
    ],
)
@pytest.mark.parametrize("slicing", [lambda data: [data], byte_by_byte], ids=["whole", "byte by byte"])
def test_nothing_grows_without_bound(data, slicing):
    with pytest.raises(SSETooLargeError, match="over 100 bytes"):
        drain(SSEDecoder(max_event_bytes=100), slicing(data))


def test_the_bound_is_for_one_event_not_for_the_stream():
    assert len(drain(SSEDecoder(max_event_bytes=100), [b"data: " + b"x" * 90 + b"\n\n"] * 50)) == 50


RECORDED = [entry for kind in ("chat", "messages", "responses") for entry in exchanges(kind, streaming=True, ok=True)][::40]


@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry.id)
def test_recorded_streams(entry):
    data = entry.load().response_bytes
    events = drain(SSEDecoder(), [data])
    assert drain(SSEDecoder(), byte_by_byte(data)) == events
    crlf = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    assert drain(SSEDecoder(), cut(crlf, range(0, len(crlf), 997))) == events
