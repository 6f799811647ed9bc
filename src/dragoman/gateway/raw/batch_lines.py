"""The lines of a batch: the models in them made those of the provider, and the usage in their results. Pure."""

from __future__ import annotations

from collections.abc import Callable

from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.errors import BadRequestError
from dragoman.dialects import registry
from dragoman.engine.usage import added

_READERS = {
    "chat.completion": "openai_chat",
    "response": "openai_responses",
    "list": "openai_embeddings",
    "text_completion": "openai_completions",
}
"""What an answer calls itself -> the dialect that reads its usage."""


def translated(data: bytes, upstream: Callable[[str], str]) -> tuple[bytes, str]:
    """The lines with the provider's name of their model, and the public name. `upstream` gives one for the other.

    Raises BadRequestError for lines that are none, or of several models.
    """
    lines, names = [], dict[str, None]()
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            outer = json.decode_envelope(line)
            body = json.decode_envelope(outer["body"])
            model = json.decode(body["model"])
            if not isinstance(model, str):
                raise KeyError("model")
        except (*json.UNREADABLE, KeyError):
            raise BadRequestError(
                f"line {number}: expected a JSON object with a body that names its model", attempts=0
            ) from None
        names[model] = None
        if len(names) > 1:
            raise BadRequestError(f"line {number}: one batch has one model, found {', '.join(names)}", attempts=0)
        body["model"] = json.raw_text(upstream(model))
        lines.append(json.encode({**outer, "body": body}))
    if not names:
        raise BadRequestError("the file has no lines", attempts=0)
    return b"\n".join(lines) + b"\n", next(iter(names))


class Results:
    """Reads along where the results of a batch go by. `usage`: what the answers behind the first `skip` lines took."""

    def __init__(self, skip: int = 0) -> None:
        self.usage: Usage | None = None
        self.lines = 0
        self._skip = skip
        self._held = b""

    def feed(self, piece: bytes) -> None:
        *lines, self._held = (self._held + piece).split(b"\n")
        for line in lines:
            self._line(line)

    def close(self) -> None:
        """A last line may lack its end."""
        self._line(self._held)
        self._held = b""

    def _line(self, line: bytes) -> None:
        self.lines += 1
        try:
            value = json.decode(line) if line.strip() and self.lines > self._skip else None
        except json.UNREADABLE:
            return
        response = value.get("response") if isinstance(value, dict) else None
        body = response.get("body") if isinstance(response, dict) else None
        dialect = _READERS.get(body.get("object", "")) if isinstance(body, dict) else None
        if dialect is not None:
            self.usage = added(registry.get(dialect).read_usage(json.encode(body)), self.usage)
