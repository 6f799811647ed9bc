"""`create_file`, `create_batch` and the rest of OpenAI's files and batches, and each with an `a` in front.

    file = dragoman.create_file(file=Path("lines.jsonl"), purpose="batch")
    batch = dragoman.create_batch(completion_window="24h", endpoint="/v1/chat/completions", input_file_id=file.id)

They go to whoever keeps files in OpenAI's way or in Anthropic's: `custom_llm_provider` (openai by default), or a gateway by
`api_base`. They run on the client that all functions of the package share; arguments and results are LiteLLM's. Each is
sent once.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict, Unpack
from urllib.parse import quote

from dragoman.client.file_run import (
    Asked,
    Batch,
    BatchList,
    FileContent,
    FileDeleted,
    FileList,
    FileObject,
    arun,
    form_of,
    made_of,
    run,
)
from dragoman.client.functions import _shared, _shared_async


class FileControls(TypedDict, total=False):
    """What steers a call, as for a completion. A gateway is named by `api_base`, with its `api_key`."""

    api_key: str
    api_base: str
    base_url: str
    timeout: Any
    headers: dict[str, str]
    extra_headers: dict[str, str]
    extra_body: dict[str, Any]


Purpose = Literal["assistants", "batch", "fine-tune", "vision", "user_data", "evals"]
Window = Literal["24h"]


def _file_path(file_id: str) -> str:
    return f"/files/{quote(file_id, safe='')}"


def _batch_path(batch_id: str) -> str:
    return f"/batches/{quote(batch_id, safe='')}"


def _upload(file: Any, purpose: str) -> Asked[FileObject]:
    form = form_of(file, purpose)
    return Asked("POST", "/files", made_of(FileObject), form=form, elsewhere=("upload", (form[-1], purpose)))


def _retrieval(file_id: str) -> Asked[FileObject]:
    return Asked("GET", _file_path(file_id), made_of(FileObject), elsewhere=("retrieval", (file_id,)))


def _deletion(file_id: str) -> Asked[FileDeleted]:
    return Asked("DELETE", _file_path(file_id), made_of(FileDeleted), elsewhere=("deletion", (file_id,)))


def _files(purpose: str | None, after: str | None, limit: int | None) -> Asked[FileList]:
    query = {"purpose": purpose, "after": after, "limit": limit}
    return Asked("GET", "/files", made_of(FileList), query=query, elsewhere=("listing", (purpose, after, limit)))


def _content(file_id: str) -> Asked[FileContent]:
    return Asked("GET", f"{_file_path(file_id)}/content", FileContent, elsewhere=("content", (file_id,)))


def _batch(window: str, endpoint: str, input_file_id: str, metadata: dict[str, str] | None) -> Asked[Batch]:
    said = {"completion_window": window, "endpoint": endpoint, "input_file_id": input_file_id, "metadata": metadata}
    return Asked("POST", "/batches", made_of(Batch), fields=said, elsewhere=("batch", (*said.values(),)))


def _batch_retrieval(batch_id: str) -> Asked[Batch]:
    return Asked("GET", _batch_path(batch_id), made_of(Batch), elsewhere=("batch_retrieval", (batch_id,)))


def _batches(after: str | None, limit: int | None) -> Asked[BatchList]:
    query = {"after": after, "limit": limit}
    return Asked("GET", "/batches", made_of(BatchList), query=query, elsewhere=("batch_listing", (after, limit)))


def _cancellation(batch_id: str) -> Asked[Batch]:
    path = f"{_batch_path(batch_id)}/cancel"
    return Asked("POST", path, made_of(Batch), fields={}, elsewhere=("cancellation", (batch_id,)))


def create_file(
    file: Any, purpose: Purpose, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]
) -> FileObject:
    """Have a provider keep `file`: bytes, an open file, a path or a tuple (name, content, media type)."""
    return run(_shared(), custom_llm_provider, _upload(file, purpose), dict(controls))


async def acreate_file(
    file: Any, purpose: Purpose, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]
) -> FileObject:
    """`create_file`, awaited."""
    return await arun(await _shared_async(), custom_llm_provider, _upload(file, purpose), dict(controls))


def file_retrieve(file_id: str, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]) -> FileObject:
    """What is known of a file."""
    return run(_shared(), custom_llm_provider, _retrieval(file_id), dict(controls))


async def afile_retrieve(file_id: str, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]) -> FileObject:
    """`file_retrieve`, awaited."""
    return await arun(await _shared_async(), custom_llm_provider, _retrieval(file_id), dict(controls))


def file_delete(file_id: str, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]) -> FileDeleted:
    """Have a file kept no longer."""
    return run(_shared(), custom_llm_provider, _deletion(file_id), dict(controls))


async def afile_delete(file_id: str, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]) -> FileDeleted:
    """`file_delete`, awaited."""
    return await arun(await _shared_async(), custom_llm_provider, _deletion(file_id), dict(controls))


def file_list(
    purpose: str | None = None,
    after: str | None = None,
    limit: int | None = None,
    custom_llm_provider: str = "openai",
    **controls: Unpack[FileControls],
) -> FileList:
    """A page of the files that are kept, behind the one with the id `after`."""
    return run(_shared(), custom_llm_provider, _files(purpose, after, limit), dict(controls))


async def afile_list(
    purpose: str | None = None,
    after: str | None = None,
    limit: int | None = None,
    custom_llm_provider: str = "openai",
    **controls: Unpack[FileControls],
) -> FileList:
    """`file_list`, awaited."""
    return await arun(await _shared_async(), custom_llm_provider, _files(purpose, after, limit), dict(controls))


def file_content(file_id: str, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]) -> FileContent:
    """What is in a file, whole."""
    return run(_shared(), custom_llm_provider, _content(file_id), dict(controls))


async def afile_content(file_id: str, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]) -> FileContent:
    """`file_content`, awaited."""
    return await arun(await _shared_async(), custom_llm_provider, _content(file_id), dict(controls))


def create_batch(
    completion_window: Window,
    endpoint: str,
    input_file_id: str,
    metadata: dict[str, str] | None = None,
    custom_llm_provider: str = "openai",
    **controls: Unpack[FileControls],
) -> Batch:
    """Have the lines of a file with purpose batch answered, each a request to `endpoint`."""
    asked = _batch(completion_window, endpoint, input_file_id, metadata)
    return run(_shared(), custom_llm_provider, asked, dict(controls))


async def acreate_batch(
    completion_window: Window,
    endpoint: str,
    input_file_id: str,
    metadata: dict[str, str] | None = None,
    custom_llm_provider: str = "openai",
    **controls: Unpack[FileControls],
) -> Batch:
    """`create_batch`, awaited."""
    asked = _batch(completion_window, endpoint, input_file_id, metadata)
    return await arun(await _shared_async(), custom_llm_provider, asked, dict(controls))


def retrieve_batch(batch_id: str, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]) -> Batch:
    """How far a batch is."""
    return run(_shared(), custom_llm_provider, _batch_retrieval(batch_id), dict(controls))


async def aretrieve_batch(batch_id: str, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]) -> Batch:
    """`retrieve_batch`, awaited."""
    return await arun(await _shared_async(), custom_llm_provider, _batch_retrieval(batch_id), dict(controls))


def list_batches(
    after: str | None = None, limit: int | None = None, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]
) -> BatchList:
    """A page of the batches, behind the one with the id `after`."""
    return run(_shared(), custom_llm_provider, _batches(after, limit), dict(controls))


async def alist_batches(
    after: str | None = None, limit: int | None = None, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]
) -> BatchList:
    """`list_batches`, awaited."""
    return await arun(await _shared_async(), custom_llm_provider, _batches(after, limit), dict(controls))


def cancel_batch(batch_id: str, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]) -> Batch:
    """End a batch; what is answered by then stays."""
    return run(_shared(), custom_llm_provider, _cancellation(batch_id), dict(controls))


async def acancel_batch(batch_id: str, custom_llm_provider: str = "openai", **controls: Unpack[FileControls]) -> Batch:
    """`cancel_batch`, awaited."""
    return await arun(await _shared_async(), custom_llm_provider, _cancellation(batch_id), dict(controls))
