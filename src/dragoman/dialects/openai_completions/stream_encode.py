"""Events -> a stream of text completion chunks, for OpenAI's clients.

A choice's finish chunk comes with ResponseEnd, then the usage chunk if the client asked for it, then [DONE]. What is no text
is left out and told in the first finish chunk, under `dragoman.warnings`. A StreamError writes nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.chat import ChatRequest, Usage, Warning
from dragoman.core.sse import DONE
from dragoman.dialects.losses import own
from dragoman.dialects.openai_chat.usage import encode_usage
from dragoman.dialects.openai_chat.wire import finish_word
from dragoman.dialects.openai_completions.response import is_text, lost_part, noted
from dragoman.dialects.openai_completions.words import NAME, Body, write_pieces


class CompletionStreamEncoder:
    """See `dialects.base.StreamEncoder`."""

    def __init__(self, request: ChatRequest, *, now: int) -> None:
        self._include_usage = bool(request.include_usage)
        self._now = now
        self._head: Body = {}
        self._before: dict[int, int] = {}
        self._texts: set[tuple[int, int]] = set()
        self._lost: list[Warning] = []
        self._usage: Usage | None = None

    def encode(self, event: ev.Event) -> bytes:
        handler = self._HANDLERS.get(type(event))
        return handler(self, event) if handler else b""

    def _frame(self, fields: Body) -> bytes:
        return b"data: " + json.encode(self._head | fields) + b"\n\n"

    def _piece(self, choice: int, text: str, logprobs: Body | None) -> bytes:
        self._before[choice] = self._before.get(choice, 0) + len(text)
        piece = {"text": text, "index": choice, "logprobs": logprobs, "finish_reason": None}
        return self._frame({"choices": [piece]})

    def _on_start(self, event: ev.ResponseStart) -> bytes:
        self._head = {
            "id": event.id,
            "object": "text_completion",
            "created": self._now if event.created is None else event.created,
            "model": event.model,
            **({"system_fingerprint": event.system_fingerprint} if event.system_fingerprint else {}),
            **own(event.extra, NAME),
        }
        return b""

    def _on_part_start(self, event: ev.PartStart) -> bytes:
        if not is_text(event.part):
            self._lost.append(lost_part(event.part, event.choice))
            return b""
        self._texts.add((event.choice, event.index))
        text: str = getattr(event.part, "text", "")
        return self._piece(event.choice, text, None) if text else b""

    def _on_text(self, event: ev.TextDelta) -> bytes:
        if (event.choice, event.index) not in self._texts:
            raise ValueError(f"part {event.index} of choice {event.choice} has a delta but no PartStart")
        before = self._before.get(event.choice, 0)
        return self._piece(event.choice, event.text, None if event.logprobs is None else write_pieces(event.logprobs, before))

    def _on_usage(self, event: ev.UsageReport) -> bytes:
        self._usage = event.usage
        return b""

    def _on_end(self, event: ev.ResponseEnd) -> bytes:
        chunks = []
        for index, end in enumerate(event.finishes):
            held = event.choice_extra[index] if index < len(event.choice_extra) else {}
            last: dict[str, Any] = {"text": "", "index": index, "logprobs": None}
            last["finish_reason"] = finish_word(end, legacy=False)
            if end.stop_sequence is not None:
                last["stop_reason"] = end.stop_sequence
            first = own(event.extra, NAME) | noted(self._lost) if index == 0 else {}
            chunks.append(self._frame({"choices": [last | own(held, NAME)]} | first))
        if self._include_usage and self._usage is not None:
            chunks.append(self._frame({"choices": [], "usage": encode_usage(self._usage)}))
        return b"".join([*chunks, DONE])

    _HANDLERS: ClassVar[dict[type, Callable[[Any, Any], bytes]]] = {
        ev.ResponseStart: _on_start,
        ev.PartStart: _on_part_start,
        ev.TextDelta: _on_text,
        ev.UsageReport: _on_usage,
        ev.ResponseEnd: _on_end,
    }
