"""Files as OpenAI keeps them (`/files`), both halves. Mistral, xAI and others keep them alike.

Source: https://platform.openai.com/docs/api-reference/files
"""

from __future__ import annotations

from dragoman.core.batches import FileListing, StoredFile
from dragoman.core.errors import ResponseDecodeError
from dragoman.dialects.media_wire import left_over, objects, read_answer, text_or_none
from dragoman.dialects.operation_wire import Body, WholeAnswers, count, said

NAME = "openai_files"
_READ = frozenset({"id", "object", "bytes", "created_at", "expires_at", "filename", "purpose", "mimetype"})


class OpenAIFiles(WholeAnswers):
    name = NAME

    def decode_response(self, body: bytes) -> FileListing:
        """One file, and one that was deleted, is a page of one. Raises ResponseDecodeError for what has no id."""
        value = read_answer(body)
        items = objects(value.get("data")) if value.get("object") == "list" else [value]
        return FileListing(files=tuple(read_file(item) for item in items), more=bool(value.get("has_more")))


def read_file(value: Body) -> StoredFile:
    if not isinstance(value.get("id"), str):
        raise ResponseDecodeError("expected a file with an id")
    return StoredFile(
        id=value["id"],
        name=text_or_none(value.get("filename")) or "",
        size=count(value, "bytes"),
        media_type=text_or_none(value.get("mimetype")),
        purpose=text_or_none(value.get("purpose")),
        created=count(value, "created_at") or None,
        expires=count(value, "expires_at") or None,
        extra=left_over(value, _READ, NAME),
    )


def write_file(file: StoredFile) -> Body:
    """As GET /files/ID answers."""
    head = {"id": file.id, "object": "file", "bytes": file.size, "created_at": file.created or 0, "filename": file.name}
    beyond = {"mimetype": file.media_type, **file.extra.get(NAME, {})}
    return {**head, "purpose": file.purpose or "user_data", "status": "processed", "expires_at": file.expires, **said(beyond)}


def write_deleted(file_id: str) -> Body:
    return {"id": file_id, "object": "file", "deleted": True}


DIALECT = OpenAIFiles()
