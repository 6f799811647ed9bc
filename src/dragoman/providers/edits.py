"""Body edits that a table cannot say. Each is a `BodyEdit`: it changes the body in place and returns what was lost.

An edit costs the decoding of the whole body, relayed or not, so it is for what nothing in `Quirks` can express.
Rows in the tables name them; nobody else calls them.
"""

from __future__ import annotations

import re
from typing import Any

from dragoman.core.chat import Warning

_MISTRAL_ID = re.compile(r"[A-Za-z0-9]{9}")
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


def short_tool_call_ids(body: dict[str, Any], _: str) -> tuple[Warning, ...]:
    """Mistral takes tool-call ids of exactly nine letters and digits, also in a history that another provider wrote.

    Any other id becomes nine characters derived from it, the same ones wherever it stands, so calls and results still meet.
    """
    for message in _objects(body.get("messages")):
        _shorten(message, "tool_call_id")
        for call in _objects(message.get("tool_calls")):
            _shorten(call, "id")
    return ()


def json_object_as_schema(body: dict[str, Any], _: str) -> tuple[Warning, ...]:
    """For servers that take a JSON schema but not `json_object`: the schema of any object asks for the same."""
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_object":
        schema = {"name": "object", "schema": {"type": "object"}}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    return ()


def base64_images(body: dict[str, Any], _: str) -> tuple[Warning, ...]:
    """GPT Image models give base64 and refuse the field that would ask for it, or for anything else."""
    if body.pop("response_format", "b64_json") == "b64_json":
        return ()
    return (Warning(field="response_format", message="left out: this model gives base64 only"),)


def _shorten(holder: dict[str, Any], key: str) -> None:
    value = holder.get(key)
    if isinstance(value, str) and not _MISTRAL_ID.fullmatch(value):
        holder[key] = _nine(value)


def _nine(value: str) -> str:
    import hashlib  # noqa: PLC0415 - loads OpenSSL, which importing the table should not cost

    number = int.from_bytes(hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest()[:8])
    digits = []
    for _ in range(9):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
