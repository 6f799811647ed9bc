"""Both sides speak this dialect: edit the envelope, let the bytes through, read along for usage.

Nothing here decodes a whole message. The tap searches each piece of a stream for a few marks and parses only the lines
that hold one; a line without a mark costs some `bytes.find`. Called by the gateway's relay path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.errors import ErrorDetail
from dragoman.core.json import Envelope
from dragoman.dialects.openai_chat.usage import CommonUsage, common_usage, decode_usage
from dragoman.dialects.openai_chat.wire import UNREADABLE
from dragoman.dialects.openai_errors import embedded_status, read_error


def edit_request(envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:
    """Model replaced; `stream_options.include_usage` set where a stream is asked for, its other options kept."""
    edited = dict(envelope)
    edited["model"] = json.raw_text(model)
    stream = envelope.get("stream")
    if want_usage and stream is not None and bytes(stream) == b"true":
        options = json.read(envelope, "stream_options")
        if options is None or type(options) is dict:
            edited["stream_options"] = json.raw({**(options or {}), "include_usage": True})
    return edited


def relay_filter(envelope: Envelope) -> Callable[[bytes], bytes] | None:
    """A client that did not ask for usage gets no usage chunk: its choices are empty, which such clients do not expect."""
    options = json.read(envelope, "stream_options")
    asked = type(options) is dict and options.get("include_usage") is True
    return None if asked else without_usage


_EVENTS = re.compile(rb".*?(?:\n\r?\n|\Z)", re.DOTALL)


def without_usage(events: bytes) -> bytes:
    """The events less the chunk that holds usage and no choice."""
    if b'"prompt_tokens"' not in events:
        return events
    return b"".join([event for event in _EVENTS.findall(events) if not _is_only_usage(event)])


def _is_only_usage(event: bytes) -> bool:
    if b'"prompt_tokens"' not in event or not event.startswith(b"data:"):
        return False
    try:
        line = _read_line(event[5:].strip())
    except UNREADABLE:
        return False
    return bool(line.usage) and line.choices == []


class _CommonAnswer(Struct):
    usage: CommonUsage | None = None


class _Answer(Struct):
    usage: Any = None


class _Groq(Struct):
    usage: Any = None


class _Choice(Struct, gc=False):
    index: Any = None
    finish_reason: Any = None


class _Line(Struct):
    usage: Any = None
    x_groq: _Groq | None = None
    error: Any = None
    object: Any = None
    choices: list[_Choice] | None = None


_read_common = msgspec.json.Decoder(_CommonAnswer).decode
_read_answer = msgspec.json.Decoder(_Answer).decode
_read_line = msgspec.json.Decoder(_Line).decode
_is_json = msgspec.json.Decoder(msgspec.Raw).decode


def read_usage(body: bytes) -> Usage | None:
    try:
        held = _read_common(body).usage
        found = None if held is None else common_usage(held)
        return found or decode_usage(_read_answer(body).usage)
    except msgspec.ValidationError:
        return _uncommon(body)
    except UNREADABLE:
        return None


def _uncommon(body: bytes) -> Usage | None:
    """As `read_usage`, for bodies whose usage holds more than OpenAI's counts."""
    try:
        return decode_usage(_read_answer(body).usage)
    except UNREADABLE:
        return None


class ChatStreamTap:
    """See `dialects.base.UsageTap`. Holds the unfinished last line; a last line without its newline counts once it is whole."""

    def __init__(self) -> None:
        self.started = False
        self.complete = False
        self.usage: Usage | None = None
        self.error: ErrorDetail | None = None
        self.error_status = 0
        self._tail = b""
        self._data_seen = False
        self._done = False
        self._one_choice = False
        self._finished: dict[int, bool] = {}

    def feed(self, chunk: bytes) -> None:
        buffer = self._tail + chunk if self._tail else chunk
        cut = buffer.rfind(b"\n") + 1
        lines, self._tail = (buffer, b"") if cut == len(buffer) else (buffer[:cut], buffer[cut:])
        if not self.started:
            self._begin(lines)
        if _is_notable(lines):
            for line in lines.split(b"\n"):
                self._line(line)
        else:
            self._check(lines)
        if self._tail and self._tail.rstrip()[-1:] in (b"}", b"]"):
            self._line(self._tail, ended=False)

    def _check(self, lines: bytes) -> None:
        """Nothing to learn here, but what is relayed as an event must be one: a client's JSON parser would choke on it."""
        for line in lines.split(b"\n"):
            if line.startswith(b"data:"):
                try:
                    _is_json(line[5:])
                except UNREADABLE:
                    self._fail_on(line)
                    return

    def _fail_on(self, line: bytes) -> None:
        shown = line[5:85].decode("utf-8", "replace")
        self.error = ErrorDetail(message=f"the provider sent an event that is not JSON: {shown}")
        self.error_status = 502

    def _begin(self, lines: bytes) -> None:
        """The lines are complete, so what `split` gives behind the last newline is none."""
        for line in lines.split(b"\n")[:-1]:
            if line.rstrip(b"\r"):
                if line.startswith(b"data:"):
                    if not self._data_seen:
                        self._one_choice = b'"text_completion"' in line  # old TGI: its choice index counts the tokens
                    self._data_seen = True
            elif self._data_seen:
                self.started = True
                return

    def _line(self, line: bytes, *, ended: bool = True) -> None:
        if not line.startswith(b"data:"):
            return
        if not _is_notable(line):
            if ended:
                self._check(line)
            return
        data = line[5:].strip()
        if data == b"[DONE]":
            self._done = True
        else:
            try:
                self._read(_read_line(data), data)
            except msgspec.ValidationError:
                return  # JSON, but of a shape that says nothing to us
            except UNREADABLE:
                if ended:
                    self._fail_on(line)
                return
        self.complete = self.error is None and (self._done or (bool(self._finished) and all(self._finished.values())))

    def _read(self, line: _Line, data: bytes) -> None:
        if line.error:
            value = json.decode(data)
            self.error_status = embedded_status(value)
            self.error = read_error(self.error_status, value)
        self.usage = decode_usage(line.usage or (line.x_groq.usage if line.x_groq else None)) or self.usage
        for choice in line.choices or ():
            index = 0 if self._one_choice or type(choice.index) is not int else choice.index
            self._finished[index] = bool(choice.finish_reason) or self._finished.get(index, False)


def _is_notable(lines: bytes) -> bool:
    """Is there counts, an end, an error, or a second choice (which must end too)? Written out: a loop costs as much again."""
    return (
        b'prompt_tokens"' in lines
        or b'reason":"' in lines
        or b'reason": "' in lines
        or b'"error"' in lines
        or b"[DONE]" in lines
        or b'"index":1' in lines
        or b'"index": 1' in lines
    )
