"""Files as Anthropic keeps them (`/v1/files`, a beta): for models to read. What was uploaded cannot be downloaded again.

Source: https://docs.anthropic.com/en/api/files-create
"""

from __future__ import annotations

from dragoman.core.batches import FileListing, StoredFile
from dragoman.core.errors import ResponseDecodeError
from dragoman.dialects.anthropic_messages import DIALECT as MESSAGES
from dragoman.dialects.media_wire import left_over, objects, read_answer, text_or_none
from dragoman.dialects.model_lists import seconds
from dragoman.dialects.operation_wire import Body, WholeAnswers, count

NAME = "anthropic_files"
BETA = ("anthropic-beta", "files-api-2025-04-14")
"""The header that turns the API on."""
_READ = frozenset({"id", "type", "size_bytes", "created_at", "filename", "mime_type", "downloadable"})


class AnthropicFiles(WholeAnswers):
    name = NAME
    decode_error = staticmethod(MESSAGES.decode_error)
    encode_error = staticmethod(MESSAGES.encode_error)

    def headers(self) -> tuple[tuple[str, str], ...]:
        return (*MESSAGES.headers(), BETA)

    def decode_response(self, body: bytes) -> FileListing:
        """One file, and one that was deleted, is a page of one. Raises ResponseDecodeError for what has no id."""
        value = read_answer(body)
        items = objects(value["data"]) if "data" in value else [value]
        return FileListing(files=tuple(read_file(item) for item in items), more=bool(value.get("has_more")))


def read_file(value: Body) -> StoredFile:
    if not isinstance(value.get("id"), str):
        raise ResponseDecodeError("expected a file with an id")
    downloadable = value.get("downloadable")
    return StoredFile(
        id=value["id"],
        name=text_or_none(value.get("filename")) or "",
        size=count(value, "size_bytes"),
        media_type=text_or_none(value.get("mime_type")),
        created=seconds(value.get("created_at")),
        downloadable=downloadable if isinstance(downloadable, bool) else None,
        extra=left_over(value, _READ, NAME),
    )


DIALECT = AnthropicFiles()
