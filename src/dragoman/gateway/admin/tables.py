"""Records of the admin API as CSV, for spreadsheets: one line each, the fields of the first one as the head.

What is a list or an object in JSON is JSON in its cell. A text that a spreadsheet would take for a formula gets an apostrophe
before it, since names of models, users and tags come from clients (https://owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

import msgspec

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Table:
    """Makes lines of records, one after the other."""

    def __init__(self) -> None:
        self._buffer = io.StringIO()
        self._writer = csv.writer(self._buffer)
        self._headed = False

    def line(self, record: Mapping[str, Any]) -> str:
        """The record; the first one with the head before it."""
        if not self._headed:
            self._writer.writerow(record)
            self._headed = True
        self._writer.writerow([_cell(value) for value in record.values()])
        text = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return text


def json_line(record: Mapping[str, Any]) -> str:
    return msgspec.json.encode(record).decode() + "\n"


def _cell(value: Any) -> Any:
    if isinstance(value, list | tuple | dict):
        return msgspec.json.encode(value).decode() if value else ""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return "'" + value
    return value
