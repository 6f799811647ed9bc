"""What all files of the dialect share: its name, its tables (stop reasons, formats, errors) and the list of what got lost.

Tables are AWS's words beside ours. Nothing in this file reads a body. Sources: the API references of Converse
(https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html) and of its ContentBlock and StopReason.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import quote

from dragoman.core import json
from dragoman.core.chat import Extra, Finish, Reason
from dragoman.dialects import losses

NAME = "bedrock_converse"
Body = dict[str, Any]

JSON_TOOL = "dragoman_json_answer"
"""The tool whose arguments are the answer, for models that hold to a schema in tool calls only."""

NATIVE_FIELDS = frozenset(
    {
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
    }
)
"""Fields of the request that nobody else has: they are taken from a client of whatever dialect."""

REASONS: dict[str, Reason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}

IMAGE_FORMATS = {f"image/{name}": name for name in ("png", "jpeg", "gif", "webp")} | {"image/jpg": "jpeg"}
DOCUMENT_FORMATS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
VIDEO_FORMATS = {
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
AUDIO_FORMATS = {f"audio/{name}": name for name in ("opus", "wav", "aac", "flac", "mp4", "ogg", "webm", "m4a")} | {
    "audio/mp3": "mp3",
    "audio/mpeg": "mp3",
    "audio/x-wav": "wav",
    "audio/x-m4a": "m4a",
}
FORMATS = {"image": IMAGE_FORMATS, "document": DOCUMENT_FORMATS, "video": VIDEO_FORMATS, "audio": AUDIO_FORMATS}
"""Kind of media -> MIME type -> AWS's word for it."""

MEDIA_TYPES = {
    kind: {word: mime for mime, word in reversed(table.items())} | ({"mpg": "video/mpeg"} if kind == "video" else {})
    for kind, table in FORMATS.items()
}
"""The way back; of several MIME types the one that is written first."""


_ROUTES = frozenset({"converse", "invoke"})


def path(model: str, verb: str) -> str:
    """Where a model is asked. It may be an ARN, whose slashes and colons belong to its name; a route before it does not."""
    route, slash, name = model.partition("/")
    return f"/model/{quote(name if slash and route in _ROUTES else model, safe='')}/{verb}"


def decode_finish(native: str | None, *, json_answer: bool) -> Finish:
    """`json_answer`: the one tool that was called is ours, so to the caller no tool was called."""
    if native == "tool_use" and json_answer:
        return Finish(reason="stop", native=native)
    return Finish(reason=REASONS.get(native or "", "unknown"), native=native)


class Losses(losses.Losses):
    """The warnings of one encoding into this dialect."""

    def __init__(self) -> None:
        super().__init__(NAME, "Bedrock")


def own(extra: Extra) -> Body:
    """What only this dialect knows."""
    return extra.get(NAME, {})


def taken(extra: Extra, names: Collection[str]) -> Body:
    """Fields of these names, whichever dialect they came in, and all of this dialect's own."""
    found = {key: value for fields in extra.values() for key, value in fields.items() if key in names}
    return found | own(extra)


def merged(first: Body, second: Body) -> Body:
    """Both objects in one; objects inside are merged too, and `second` wins."""
    both = dict(first)
    for key, value in second.items():
        held = both.get(key)
        both[key] = merged(held, value) if isinstance(held, dict) and isinstance(value, dict) else value
    return both


def text_of(value: Any) -> str:
    """JSON as text."""
    return json.encode(value).decode()
