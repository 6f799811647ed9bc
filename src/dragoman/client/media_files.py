"""Files as programs pass them -> MediaFile: bytes, something open, a path, OpenAI's (name, content, media type), or a URL.

What a file is, is told by its name or by how it begins; where neither tells, nothing is claimed. Called by `media_calls`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dragoman.core.errors import BadRequestError
from dragoman.core.media import MediaFile

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
    (b"\x1aE\xdf\xa3", "webm"),
    (b"\xff\xfb", "mp3"),
    (b"\xff\xf3", "mp3"),
    (b"%PDF-", "pdf"),
)
_RIFF = {b"WAVE": "wav", b"WEBP": "webp"}
_MEDIA_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "mp3": "audio/mpeg",
    "mpga": "audio/mpeg",
    "mpeg": "audio/mpeg",
    "wav": "audio/wav",
    "flac": "audio/flac",
    "ogg": "audio/ogg",
    "oga": "audio/ogg",
    "opus": "audio/ogg",
    "m4a": "audio/mp4",
    "mp4": "audio/mp4",
    "webm": "audio/webm",
    "pdf": "application/pdf",
}
_EXPECTED = "bytes, an open file, a path, a tuple (name, content, media type) or a URL"


def media_file(argument: str, value: Any) -> MediaFile:
    """Raises BadRequestError that names the argument, for what is no file. `argument` also names a file without a name."""
    if isinstance(value, str):
        if value.startswith(("http://", "https://", "data:")):
            return MediaFile(url=value)
        raise BadRequestError(f"{argument}: expected {_EXPECTED}, found the text {value[:60]!r}; a path is a pathlib.Path")
    name, content, media_type = _taken_apart(argument, value)
    data = _content(argument, content)
    name = name or f"{argument}.{_kind(data) or 'bin'}"
    ending = name.rpartition(".")[2].lower()
    return MediaFile(data=data, name=name, media_type=media_type or _MEDIA_TYPES.get(ending) or _MEDIA_TYPES.get(_kind(data)))


def media_files(argument: str, value: Any) -> tuple[MediaFile, ...]:
    """One file or a list of them."""
    return tuple(media_file(argument, item) for item in (value if isinstance(value, list) else [value]))


def addressed(document: Any) -> Any:
    """A document to read, as providers take it: a file (bytes, something open, a path) becomes its own address."""
    if not isinstance(document, dict) or "file" not in document:
        return document
    given = document["file"]
    file = media_file("document.file", Path(given) if isinstance(given, str) else given)
    kind = "image_url" if (file.media_type or "").startswith("image/") else "document_url"
    return {"type": kind, kind: file.address()}


def _taken_apart(argument: str, value: Any) -> tuple[str | None, Any, str | None]:
    if isinstance(value, tuple):
        if not 2 <= len(value) <= 4:
            raise BadRequestError(f"{argument}: expected {_EXPECTED}, found a tuple of {len(value)}")
        return value[0], value[1], value[2] if len(value) > 2 else None
    if isinstance(value, os.PathLike):
        return Path(value).name, value, None
    name = getattr(value, "name", None)
    return (Path(name).name if isinstance(name, str) else None), value, None


def _content(argument: str, content: Any) -> bytes:
    if isinstance(content, os.PathLike):
        try:
            return Path(content).read_bytes()
        except OSError as problem:
            raise BadRequestError(f"{argument}: {problem}") from None
    if isinstance(content, bytes | bytearray | memoryview):
        return bytes(content)
    read = getattr(content, "read", None)
    found = read() if callable(read) else None
    if not isinstance(found, bytes):
        raise BadRequestError(f"{argument}: expected {_EXPECTED}, found {type(content).__name__}; files are opened with 'rb'")
    return found


def _kind(data: bytes) -> str:
    if data[:4] == b"RIFF":
        return _RIFF.get(data[8:12], "")
    if data[4:8] == b"ftyp":
        return "m4a"
    return next((kind for magic, kind in _MAGIC if data.startswith(magic)), "")
