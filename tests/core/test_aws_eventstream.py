"""Binary event streams: messages there and back, in every slicing; damage is noticed wherever it is done."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.aws_eventstream import EventStreamDecoder, EventStreamError, Header, Message, encode
from support.recordings import _index
from support.slicing import byte_by_byte, cut, cut_places, drain

EVERY_KIND = Message(
    payload=b'{"x":1}',
    headers=(
        Header(":event-type", "chunk"),
        Header("yes", True, "bool"),
        Header("no", False, "bool"),
        Header("b", -1, "byte"),
        Header("s", 300, "short"),
        Header("i", -70_000, "int"),
        Header("l", 2**40, "long"),
        Header("raw", b"\x00\xff", "bytes"),
        Header("when", 1_700_000_000_000, "timestamp"),
        Header("id", bytes(range(16)), "uuid"),
    ),
)
STREAM = encode(EVERY_KIND) + encode(Message()) + encode(Message(payload=b"tail"))


def test_the_bytes_of_a_small_message():
    prelude = struct.pack(">II", 16 + 6 + 2, 6)
    framed = prelude + struct.pack(">I", crc32(prelude)) + b"\x01a\x07\x00\x01b" + b"{}"
    framed += struct.pack(">I", crc32(framed))
    assert encode(Message(payload=b"{}", headers=(Header("a", "b"),))) == framed


def test_messages_in_every_slicing():
    messages = [EVERY_KIND, Message(), Message(payload=b"tail")]
    assert drain(EventStreamDecoder(), [STREAM]) == messages
    assert drain(EventStreamDecoder(), byte_by_byte(STREAM)) == messages
    assert all(drain(EventStreamDecoder(), cut(STREAM, [place])) == messages for place in range(len(STREAM)))


@given(cut_places)
def test_messages_cut_anywhere(places):
    assert drain(EventStreamDecoder(), cut(STREAM, places)) == drain(EventStreamDecoder(), [STREAM])


def integers(bits):
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


VALUES = {
    "bool": st.booleans(),
    "byte": integers(8),
    "short": integers(16),
    "int": integers(32),
    "long": integers(64),
    "bytes": st.binary(max_size=20),
    "string": st.text(max_size=20),
    "timestamp": integers(64),
    "uuid": st.binary(min_size=16, max_size=16),
}
names = st.text(max_size=60)
headers = st.sampled_from(sorted(VALUES)).flatmap(
    lambda kind: st.builds(Header, name=names, value=VALUES[kind], kind=st.just(kind))
)
messages = st.builds(Message, payload=st.binary(max_size=50), headers=st.lists(headers, max_size=4).map(tuple))


@given(st.lists(messages, max_size=4), cut_places)
def test_what_is_encoded_is_decoded(sent, places):
    assert drain(EventStreamDecoder(), cut(b"".join(map(encode, sent)), places)) == sent


def test_headers_by_name():
    assert EVERY_KIND.header(":event-type") == "chunk"
    assert EVERY_KIND.header("no") is False
    assert EVERY_KIND.header("absent") is None


def test_a_message_is_given_when_its_last_byte_comes():
    decoder = EventStreamDecoder()
    assert list(decoder.feed(STREAM[:-1])) == [EVERY_KIND, Message()]
    assert list(decoder.feed(STREAM[-1:])) == [Message(payload=b"tail")]


def test_what_came_whole_before_the_damage_is_given():
    damaged = encode(EVERY_KIND) + encode(Message())[:-1] + b"\x00"
    given = EventStreamDecoder().feed(damaged)
    assert next(given) == EVERY_KIND
    with pytest.raises(EventStreamError, match="checksum"):
        next(given)


@given(st.integers(0, len(encode(EVERY_KIND)) - 1), st.integers(1, 255))
def test_every_damaged_byte_is_noticed(place, flip):
    damaged = bytearray(encode(EVERY_KIND))
    damaged[place] ^= flip
    with pytest.raises(EventStreamError):
        drain(EventStreamDecoder(), [bytes(damaged)])


@given(st.binary(max_size=100))
def test_garbage_is_refused(data):
    if data:
        with pytest.raises(EventStreamError):
            drain(EventStreamDecoder(), [data])


def framed(headers, payload=b"", *, total=None, length=None):
    prelude = struct.pack(
        ">II", 16 + len(headers) + len(payload) if total is None else total, len(headers) if length is None else length
    )
    body = prelude + struct.pack(">I", crc32(prelude)) + headers + payload
    return body + struct.pack(">I", crc32(body))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (framed(b"", total=15), "15 bytes is not within 16 and"),
        (framed(b"", total=2**31), "is not within"),
        (framed(b"", length=1), "do not fit"),
        (framed(b"\x01a\x63"), "unknown type 99"),
        (framed(b"\x09a"), "reaches beyond"),
        (framed(b"\x01a\x07\x00\x09b", b"payload that is long enough"), "reaches beyond"),
        (framed(b"\x01a\x04\x00", b"payload that is long enough"), "make no sense"),
        (framed(b"\x01a", b""), "make no sense"),
        (framed(b"\x01\xff\x00"), "make no sense"),
        (STREAM[:-1], "ended inside a message, after 19 bytes"),
        (STREAM[:5], "ended inside a message, after 5 bytes"),
    ],
)
def test_impossible_messages(data, said):
    with pytest.raises(EventStreamError, match=said):
        drain(EventStreamDecoder(), [data])


@pytest.mark.parametrize(
    "header",
    [Header("n" * 256, "v"), Header("n", 128, "byte"), Header("n", b"short", "uuid"), Header("n", "v" * 65_536)],
    ids=["long name", "large byte", "short uuid", "long string"],
)
def test_headers_that_do_not_fit_are_not_written(header):
    with pytest.raises(struct.error):
        encode(Message(headers=(header,)))


RECORDED = [entry for entry in _index() if entry.provider == "bedrock" and entry.streaming and entry.status == 200]
BINARY = [entry for entry in RECORDED if entry.load().data["response"]["body_encoding"] == "base64"]


@pytest.mark.parametrize("entry", BINARY, ids=lambda entry: entry.id)
def test_recorded_streams_have_valid_sums_and_come_out_the_same(entry):
    data = entry.load().response_bytes
    decoded = drain(EventStreamDecoder(), [data])
    assert decoded
    assert all(message.header(":message-type") in ("event", "exception") for message in decoded)
    assert b"".join(map(encode, decoded)) == data
    assert drain(EventStreamDecoder(), cut(data, range(0, len(data), 101))) == decoded
