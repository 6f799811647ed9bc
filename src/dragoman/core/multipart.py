"""multipart/form-data (RFC 7578): parts -> a body, a body -> parts. Whole bodies only, and pure: the boundary is an argument.

`free_boundary` finds one that no part contains, always the same for the same parts. Names are escaped as browsers do it.
Nothing is guessed: a body that is no form raises MultipartError. Dialects whose requests hold files call this.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from msgspec import Struct

MAX_PARTS = 1000
"""More parts than any form of these APIs has; a body with more of them is refused."""

_ESCAPES = {'"': "%22", "\r": "%0D", "\n": "%0A"}
_UNESCAPES = {escaped: plain for plain, escaped in _ESCAPES.items()}
_ESCAPED = re.compile("|".join(_UNESCAPES))
_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"((?:\\.|[^"\\])*)"|([^\s;]*))')
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


class MultipartError(ValueError):
    """The body is no form, and what is wrong with it."""


class FormPart(Struct, frozen=True, kw_only=True):
    """A field, or with a `filename` a file."""

    name: str
    data: bytes
    filename: str | None = None
    media_type: str | None = None

    @property
    def text(self) -> str:
        """The value of a field. Raises MultipartError where it is no UTF-8."""
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            raise MultipartError(f"the field {self.name!r} is no UTF-8 text") from None


def content_type(boundary: str) -> str:
    return f"multipart/form-data; boundary={boundary}"


def boundary_of(header: str) -> str:
    """The boundary that a content-type names. Raises MultipartError where it is no form's or names none."""
    if header.split(";", 1)[0].strip().lower() != "multipart/form-data":
        raise MultipartError(f"expected the content-type multipart/form-data, found {header[:80]!r}")
    boundary = _parameters(header).get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise MultipartError("the content-type multipart/form-data names no boundary")
    return boundary


def free_boundary(parts: Iterable[FormPart]) -> str:
    """The first of dragoman-form-0, -1, ... that occurs in no part."""
    held, number = [part.data for part in parts], 0
    while any(f"dragoman-form-{number}".encode() in data for data in held):
        number += 1
    return f"dragoman-form-{number}"


def encode(parts: Iterable[FormPart], boundary: str) -> bytes:
    """The body. `boundary` must not occur in a part."""
    pieces = []
    for part in parts:
        pieces += [f"--{boundary}\r\n".encode(), _head(part), part.data, b"\r\n"]
    return b"".join([*pieces, f"--{boundary}--\r\n".encode()])


def decode(body: bytes, boundary: str) -> tuple[FormPart, ...]:
    """The parts in their order. What stands before the first boundary and after the last is ignored, as the RFC asks."""
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if len(pieces) > MAX_PARTS + 2:
        raise MultipartError(f"the form has more than {MAX_PARTS} parts")
    parts: list[FormPart] = []
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            return tuple(parts)
        padding, line_end, rest = piece.partition(b"\r\n")
        if padding.strip(b" \t") or not line_end:
            raise MultipartError("a boundary of the form is not followed by the end of its line")
        parts.append(_part(rest))
    raise MultipartError("the form is cut off: its closing boundary is missing")


def _head(part: FormPart) -> bytes:
    lines = [f'Content-Disposition: form-data; name="{_escape(part.name)}"']
    if part.filename is not None:
        lines[0] += f'; filename="{_escape(part.filename)}"'
    if part.media_type:
        if not part.media_type.isprintable():
            raise MultipartError(f"the media type of {part.name!r} is no header value: {part.media_type!r}")
        lines.append(f"Content-Type: {part.media_type}")
    return "\r\n".join([*lines, "", ""]).encode()


def _escape(name: str) -> str:
    return "".join(_ESCAPES.get(letter, letter) for letter in name)


def _part(piece: bytes) -> FormPart:
    head, gap, data = (b"\r\n" + piece).partition(b"\r\n\r\n")
    if not gap:
        raise MultipartError("a part of the form has no end of its headers")
    headers = _headers(head)
    kind, disposition = headers.get("content-type"), headers.get("content-disposition", "")
    parameters = _parameters(disposition)
    if disposition.split(";", 1)[0].strip().lower() != "form-data" or "name" not in parameters:
        raise MultipartError('a part of the form has no header `Content-Disposition: form-data; name="..."`')
    if kind and not (kind.isascii() and kind.isprintable()):
        raise MultipartError(f"the content-type of the part {parameters['name']!r} is no header value")
    return FormPart(name=parameters["name"], data=data, filename=parameters.get("filename"), media_type=kind or None)


def _headers(head: bytes) -> dict[str, str]:
    try:
        lines = head.decode().split("\r\n")
    except UnicodeDecodeError:
        raise MultipartError("the headers of a part are no UTF-8 text") from None
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _parameters(header: str) -> dict[str, str]:
    """`filename*`, the way of RFC 5987 to spell a name, goes before `filename`, as browsers have it."""
    found = {}
    for name, quoted, plain in _PARAMETER.findall(header):
        value = re.sub(r'\\(["\\])', r"\1", quoted) if quoted else plain
        found[name.lower()] = _ESCAPED.sub(lambda match: _UNESCAPES[match[0]], value)
    extended = found.pop("filename*", "")
    if extended.lower().startswith("utf-8'"):
        found["filename"] = unquote(extended.split("'", 2)[-1])
    return found
