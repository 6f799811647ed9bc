"""What a configuration says about observing, checked by `yaml_config.convert`; docs/observability.md explains each."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

_Count = Annotated[int, Meta(ge=0)]
_Share = Annotated[float, Meta(ge=0, le=1)]
_Seconds = Annotated[float, Meta(gt=0, le=1e7)]
_Url = Annotated[str, Meta(pattern="^https?://[^@]+$")]
_Path = Annotated[str, Meta(min_length=1)]


class MetricsEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`open`: /metrics wants no key. `by_key`: so many virtual keys are told apart, by their ids; the others are "other".
    `folder`: where the workers of this machine leave their numbers for each other; `dragoman serve --workers` sees to it.
    """

    enabled: bool = True
    open: bool = False
    by_key: Annotated[int, Meta(ge=0, le=10_000)] = 0
    folder: _Path | None = None


class LogsEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`requests`: a line for each request. `level`: of all other messages."""

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "warning"
    requests: bool = False


class TelemetryEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where traces go; the variables of each say the place."""

    otel: bool = False
    langfuse: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name in ("otel", "langfuse") if getattr(self, name))


class RequestLogEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was asked and answered, as it stood on the wire. `share` of the requests are kept, and `max_body_kb` of each body.
    A file is full at `file_mb`; the oldest go when there are more than `files`, or when they are older than `days`.
    """

    folder: _Path
    share: _Share = 1.0
    max_body_kb: Annotated[int, Meta(ge=1, le=65536)] = 64
    file_mb: Annotated[float, Meta(gt=0, le=10_000)] = 64
    files: Annotated[int, Meta(ge=1, le=10_000)] = 16
    days: Annotated[float, Meta(gt=0, le=36500)] = 30


class AlertsEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`webhook` is sent JSON, `slack` a text as Slack's incoming webhooks take it. `every`: seconds between two messages;
    what happens in between comes in one. `error_rate` of at least `least_requests` in that time, and `ledger_rows` that wait
    for the database, are worth an alert.
    """

    webhook: _Url | None = None
    slack: _Url | None = None
    every: _Seconds = 60.0
    error_rate: _Share = 0.5
    least_requests: Annotated[int, Meta(ge=1)] = 20
    ledger_rows: _Count = 10_000
