"""Log lines: one JSON object each, or text; no secret in any of them; and on wish a line for each request.

`set_up` is called once when a server starts. What is written goes to standard error, at once. A request's line names the id of
its key, never the key, and nothing of what was said.
"""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from dragoman.catalog.cost import minute_of_day
from dragoman.core import json
from dragoman.engine.price import answering, price
from dragoman.telemetry.call_facts import first_chunk

if TYPE_CHECKING:
    from dragoman.engine.call import Call
    from dragoman.gateway.observing.entries import LogsEntry
    from dragoman.gateway.observing.requests import Ended

NAMES = ("dragoman", "uvicorn")
"""The loggers whose messages are a gateway's."""
HIDDEN = "[redacted]"
SHORTEST = 8
"""Characters of a secret; shorter ones would hide words."""

_LOOKS_SECRET = (
    r"(?i:bearer|basic)\s+[\w.~+/=-]{8,}",
    r"\b(?:sk|pk|rk|gsk|xai|key|hf|r8|AIza)[-_][\w-]{12,}",
    r"\bAIza[\w-]{30,}",
    r"\bAKIA[A-Z0-9]{16}\b",
    r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)",
    r"(?<=[?&]key=)[^&\s]+",
)
"""Credentials in headers, keys by the beginnings that vendors give them, passwords in URLs."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What a client's words could begin another line with, or move a terminal's cursor."""


class Redaction(logging.Filter):
    """Takes out of a message and its traceback what is secret: these words, and what looks like a credential."""

    def __init__(self, secrets: Iterable[str]) -> None:
        super().__init__()
        self._known: set[str] = set()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """From now on these as well."""
        self._known.update(secret for secret in secrets if len(secret) >= SHORTEST)
        known = sorted(map(re.escape, self._known), key=len, reverse=True)
        self._pattern = re.compile("|".join((*known, *_LOOKS_SECRET)))

    def clean(self, text: str) -> str:
        return self._pattern.sub(HIDDEN, text)

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self.clean(record.getMessage()), None
        if record.exc_info:
            record.exc_text = self.clean(_formatter.formatException(record.exc_info))
            record.exc_info = None
        return True


def learn(secrets: Iterable[str]) -> None:
    """No message of ours shows these from now on."""
    for handler in logging.getLogger(NAMES[0]).handlers:
        for found in handler.filters:
            if isinstance(found, Redaction):
                found.learn(secrets)


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _moment(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:
            line["traceback"] = record.exc_text
        return json.encode(line).decode()


_formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")


def set_up(entry: LogsEntry, secrets: Iterable[str]) -> None:
    """Messages of ours and of the server go to standard error, clean, from the level on that was asked for."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if entry.format == "json" else _formatter)
    handler.addFilter(Redaction(secrets))
    for name in NAMES:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(entry.level.upper())


class RequestLines:
    """Told by `requests`; writes a line for each."""

    def __init__(self, entry: LogsEntry, redaction: Redaction, out: BinaryIO | None = None) -> None:
        self._json = entry.format == "json"
        self._clean = redaction.clean
        self._out = out or sys.stderr.buffer

    def __call__(self, ended: Ended) -> None:
        line = request_line(ended, time.time())
        if "error_message" in line:
            line["error_message"] = self._clean(line["error_message"])
        text = json.encode(line) if self._json else _told(line)
        self._out.write(text + b"\n")
        self._out.flush()


def request_line(ended: Ended, now: float) -> dict[str, Any]:
    """What is told of a request: JSON values only. Times are milliseconds, money US dollars."""
    call, exchange, error = ended.call, ended.exchange, ended.error
    line: dict[str, Any] = {
        "time": _moment(now),
        "level": "info",
        "event": "request",
        "id": ended.identity.decode("latin-1"),
        "client": exchange.client,
        "path": exchange.path.decode("latin-1"),
        "operation": ended.operation,
        "dialect": ended.dialect,
        "status": ended.status,
        "ms": round(ended.seconds * 1000, 3),
    }
    if ended.who is not None:
        line["key"] = ended.who.key.id
    if call is not None:
        line |= _of_call(call, now)
    if error is not None:
        line |= {"error": type(error).__name__, "error_message": str(error)}
    return line


def _of_call(call: Call, now: float) -> dict[str, Any]:
    attempt = answering(call)
    found: dict[str, Any] = {"model": call.model, "stream": call.stream, "attempts": len(call.attempts)}
    if attempt is not None:
        found |= {"deployment": attempt.deployment.id, "provider": attempt.deployment.target.provider.name}
    if call.lookup is not None and call.lookup.status:
        found["cache"] = call.lookup.status
    if len(call.attempts) > 1:
        found["trail"] = [_step(call, place) for place in range(len(call.attempts))]
    if (waited := first_chunk(call)) is not None:
        found["first_token_ms"] = round(waited * 1000, 3)
    usage = None if call.settlement is None else call.settlement.usage
    if usage is not None:
        found |= {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        cost = price(call, usage, minute=minute_of_day(now))
        found["cost_usd"] = None if cost is None else cost.dollars
    if call.warnings:
        found["warnings"] = [f"{warning.field}: {warning.message}" for warning in call.warnings]
    return found


def _step(call: Call, place: int) -> dict[str, Any]:
    attempt = call.attempts[place]
    error = None if attempt.error is None else type(attempt.error).__name__
    return {"deployment": attempt.deployment.id, "error": error, **({"reason": attempt.reason} if attempt.reason else {})}


def _told(line: dict[str, Any]) -> bytes:
    """The same as text, as people read it."""
    shown = " ".join(f"{name}={value}" for name, value in line.items() if name not in {"time", "level", "event", "trail"})
    return _CONTROL.sub(" ", f"{line['time']} request {shown}").encode()


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
