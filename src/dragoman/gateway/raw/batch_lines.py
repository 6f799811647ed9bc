"""The lines of a batch in OpenAI's shape: the models in them made those of the provider, and what answers took. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.errors import BadRequestError
from dragoman.dialects import registry
from dragoman.engine.batched import DIALECTS
from dragoman.engine.call import Call

_READERS = {
    "chat.completion": "openai_chat",
    "response": "openai_responses",
    "list": "openai_embeddings",
    "text_completion": "openai_completions",
}
"""What an answer calls itself -> the dialect that reads its usage."""


class Lines(NamedTuple):
    """`data` with the provider's name of the model; `group`: the public name; `calls`: what the lines ask for."""

    data: bytes
    group: str
    calls: list[Call]


def translated(data: bytes, upstream: Callable[[str], str]) -> Lines:
    """`upstream` gives the provider's name of a model for the public one.

    Raises BadRequestError for lines that are none, or of several models.
    """
    lines, calls, names = [], list[Call](), dict[str, None]()
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            outer = json.decode_envelope(line)
            body = json.decode_envelope(outer["body"])
            model, url = json.decode(body["model"]), json.read(outer, "url")
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
        encoded = json.encode(body)
        calls.append(_call(url, encoded, model))
        lines.append(json.encode({**outer, "body": body}))
    if not names:
        raise BadRequestError("the file has no lines", attempts=0)
    return Lines(b"\n".join(lines) + b"\n", next(iter(names)), calls)


def _call(url: object, body: bytes, model: str) -> Call:
    """What is no chat is held as one: it costs no more."""
    operation, dialect = DIALECTS.get(str(url), DIALECTS["/v1/chat/completions"])
    return Call(operation=operation, dialect=dialect, model=model, body=body, deployments=())


def read_usage(answer: bytes) -> Usage | None:
    """What the answer in a result took."""
    try:
        kind = json.read(json.decode_envelope(answer), "object")
    except json.UNREADABLE:
        return None
    dialect = _READERS.get(kind) if isinstance(kind, str) else None
    used: Usage | None = None if dialect is None else registry.get(dialect).read_usage(answer)
    return used
