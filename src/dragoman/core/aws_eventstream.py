"""Binary event streams (application/vnd.amazon.eventstream): bytes in any slicing -> messages, and back.

A message is a prelude (total length, headers length, CRC-32 of the two), typed headers, a payload, and the CRC-32 of all
that. Both sums are checked, and lengths are bounded before a byte is waited for. What a payload means is not known here;
the Bedrock dialects ask. https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, Literal
from zlib import crc32

from msgspec import Struct

MAX_MESSAGE_BYTES = 24 * 1024 * 1024
"""AWS allows a payload of 16 MiB, which Bedrock carries in base64."""

HeaderKind = Literal["bool", "byte", "short", "int", "long", "bytes", "string", "timestamp", "uuid"]


class Header(Struct, frozen=True):
    """`value` is a bool, an int (`timestamp`: milliseconds since 1970), bytes (`uuid`: 16 of them) or a str, by `kind`."""

    name: str
    value: bool | int | bytes | str
    kind: HeaderKind = "string"


class Message(Struct, frozen=True):
    payload: bytes = b""
    headers: tuple[Header, ...] = ()

    def header(self, name: str) -> Any:
        """The value of a header (":event-type", ":message-type", ":exception-type"), or None."""
        return next((header.value for header in self.headers if header.name == name), None)


class EventStreamError(ValueError):
    """The bytes are no event stream: a wrong sum, an impossible length, an unknown header type, a cut message."""


_PRELUDE = struct.Struct(">III")
_SUM = struct.Struct(">I")
_FRAME = _PRELUDE.size + _SUM.size


class EventStreamDecoder:
    """Feed it bytes as they come; it gives back the messages that are complete. `flush` ends the stream."""

    def __init__(self, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._max = max_message_bytes
        self._buffer = bytearray()
        self._wanted = _PRELUDE.size

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """Read it to its end. What came whole before some damage is given before that raises EventStreamError; the decoder
        is of no use after it.
        """
        self._buffer += chunk
        start = 0
        while len(self._buffer) - start >= self._wanted:
            if self._wanted == _PRELUDE.size:
                self._wanted = _total_length(self._buffer, start, self._max)
                continue
            end = start + self._wanted
            yield _decode(bytes(self._buffer[start:end]))
            start, self._wanted = end, _PRELUDE.size
        del self._buffer[:start]

    def flush(self) -> list[Message]:
        """Nothing, or an EventStreamError if the stream ended inside a message."""
        if self._buffer:
            raise EventStreamError(f"the event stream ended inside a message, after {len(self._buffer)} bytes of it")
        return []


def _total_length(buffer: bytearray, start: int, limit: int) -> int:
    """How long the message is, once its prelude can be trusted."""
    total, headers, check = _PRELUDE.unpack_from(buffer, start)
    if crc32(buffer[start : start + 8]) != check:
        raise EventStreamError("the checksum of a message's prelude is wrong")
    if not _FRAME <= total <= limit:
        raise EventStreamError(f"a message of {total} bytes is not within {_FRAME} and {limit}")
    if headers > total - _FRAME:
        raise EventStreamError(f"{headers} bytes of headers do not fit into a message of {total}")
    return int(total)


def _decode(frame: bytes) -> Message:
    body, (check,) = frame[: -_SUM.size], _SUM.unpack(frame[-_SUM.size :])
    if crc32(body) != check:
        raise EventStreamError("the checksum of a message is wrong")
    end = _PRELUDE.size + _PRELUDE.unpack_from(frame)[1]
    headers: list[Header] = []
    place = _PRELUDE.size
    try:
        while place < end:
            header, place = _read_header(body[:end], place)
            headers.append(header)
    except (struct.error, IndexError, UnicodeDecodeError) as problem:
        raise EventStreamError(f"the headers of a message make no sense: {problem}") from None
    return Message(payload=body[end:], headers=tuple(headers))


def _read_header(data: bytes, place: int) -> tuple[Header, int]:
    name, place = _read_sized(data, place, ">B")
    read = _READERS.get(data[place])
    if read is None:
        raise EventStreamError(f"a header has the unknown type {data[place]}")
    kind, value, place = read(data, place + 1)
    return Header(name=name.decode(), value=value, kind=kind), place


def _read_sized(data: bytes, place: int, form: str) -> tuple[bytes, int]:
    (size,) = struct.unpack_from(form, data, place)
    place += struct.calcsize(form)
    if place + size > len(data):
        raise EventStreamError(f"a header of {size} bytes reaches beyond the headers of its message")
    return data[place : place + size], place + size


_Reader = Callable[[bytes, int], tuple[HeaderKind, Any, int]]
_Writer = Callable[[Any], bytes]


def _constant(value: bool) -> _Reader:  # noqa: FBT001 - the value itself
    return lambda _, place: ("bool", value, place)


def _fixed(kind: HeaderKind, form: str) -> _Reader:
    shape = struct.Struct(form)
    return lambda data, place: (kind, shape.unpack_from(data, place)[0], place + shape.size)


def _read_bytes(data: bytes, place: int) -> tuple[HeaderKind, Any, int]:
    value, place = _read_sized(data, place, ">H")
    return "bytes", value, place


def _read_string(data: bytes, place: int) -> tuple[HeaderKind, Any, int]:
    value, place = _read_sized(data, place, ">H")
    return "string", value.decode(), place


_READERS: dict[int, _Reader] = {
    0: _constant(True),
    1: _constant(False),
    2: _fixed("byte", ">b"),
    3: _fixed("short", ">h"),
    4: _fixed("int", ">i"),
    5: _fixed("long", ">q"),
    6: _read_bytes,
    7: _read_string,
    8: _fixed("timestamp", ">q"),
    9: _fixed("uuid", ">16s"),
}

_WRITERS: dict[HeaderKind, _Writer] = {
    "bool": lambda value: b"\x00" if value else b"\x01",
    "byte": lambda value: struct.pack(">Bb", 2, value),
    "short": lambda value: struct.pack(">Bh", 3, value),
    "int": lambda value: struct.pack(">Bi", 4, value),
    "long": lambda value: struct.pack(">Bq", 5, value),
    "bytes": lambda value: struct.pack(">BH", 6, len(value)) + value,
    "string": lambda value: struct.pack(">BH", 7, len(text := value.encode())) + text,
    "timestamp": lambda value: struct.pack(">Bq", 8, value),
    "uuid": lambda value: struct.pack(">B16B", 9, *value),
}


def encode(message: Message) -> bytes:
    """One message as bytes. Raises struct.error for a header that does not fit its kind (a name over 255 bytes too)."""
    headers = b"".join(_write_header(header) for header in message.headers)
    total = _FRAME + len(headers) + len(message.payload)
    lengths = struct.pack(">II", total, len(headers))
    body = lengths + _SUM.pack(crc32(lengths)) + headers + message.payload
    return body + _SUM.pack(crc32(body))


def _write_header(header: Header) -> bytes:
    name = header.name.encode()
    return struct.pack(">B", len(name)) + name + _WRITERS[header.kind](header.value)
