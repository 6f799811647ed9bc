"""Stored files and batches in our own words: what a provider keeps, and many requests that it answers within a day.

A batch is created, asked for until it has ended, and then has results: one for each of its requests, in any order, known by
its `custom_id`. The dialects of files and batches in `dialects/` speak them. Times are Unix seconds.
"""

from __future__ import annotations

from typing import Literal

from dragoman.core.chat import Extra, Value

BatchStatus = Literal["validating", "in_progress", "finalizing", "cancelling", "completed", "failed", "expired", "cancelled"]
ENDED: frozenset[str] = frozenset({"completed", "failed", "expired", "cancelled"})
"""After these nothing changes any more. All but "failed" may have results."""
Outcome = Literal["succeeded", "errored", "cancelled", "expired"]


class StoredFile(Value, frozen=True, kw_only=True):
    """`size` is bytes. `downloadable` None: nobody said; some keep files that only their models may read."""

    id: str
    name: str = ""
    size: int = 0
    media_type: str | None = None
    purpose: str | None = None
    created: int | None = None
    expires: int | None = None
    downloadable: bool | None = None
    extra: Extra = {}


class FileListing(Value, frozen=True, kw_only=True):
    """A page. `more`: there are further ones, behind the last id."""

    files: tuple[StoredFile, ...]
    more: bool = False
    usage: None = None


class BatchCounts(Value, frozen=True, kw_only=True):
    """How many requests ended so; those left of `total` are still to come."""

    total: int = 0
    succeeded: int = 0
    errored: int = 0
    cancelled: int = 0
    expired: int = 0


class Batch(Value, frozen=True, kw_only=True):
    """`endpoint` is the path that each request goes to. Of `input_file`, `output_file` and `error_file` there are ids where
    requests and results travel as files. `results`: what was answered can be read now. `cancelled`: when it was to be ended.
    """

    id: str
    status: BatchStatus
    counts: BatchCounts = BatchCounts()
    endpoint: str | None = None
    input_file: str | None = None
    output_file: str | None = None
    error_file: str | None = None
    results: bool = False
    created: int | None = None
    ended: int | None = None
    expires: int | None = None
    cancelled: int | None = None
    metadata: dict[str, str] | None = None
    extra: Extra = {}


class BatchListing(Value, frozen=True, kw_only=True):
    """As FileListing."""

    batches: tuple[Batch, ...]
    more: bool = False
    usage: None = None


class BatchRequest(Value, frozen=True, kw_only=True):
    """One request of a batch. `body` is in the dialect that the batch is written in, `endpoint` the path it is meant for."""

    custom_id: str
    endpoint: str
    body: bytes


class BatchResult(Value, frozen=True, kw_only=True):
    """What became of one request. `body`: its answer, or the error, in the dialect that the batch is written in; b"" where
    there is none. `status` is the HTTP status that it would have had alone.
    """

    custom_id: str
    outcome: Outcome
    status: int = 200
    body: bytes = b""
