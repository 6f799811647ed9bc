"""Parts of an assistant -> items. Two writers share it: requests for the provider, and answers for a client.

An answer says more than a request: an id for every item, thoughts and signatures of any provider (a client
sends them back), generated sound. What a request has no word for is left out with a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dragoman.core.chat import (
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenLogprob,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.dialects.openai_responses.reasoning import is_ours, write_reasoning
from dragoman.dialects.openai_responses.words import Losses, item_mark, make_id, own
from dragoman.dialects.openai_responses.write_parts import Item, check, output_audio, output_text, own_value, write_citation

Place = tuple[Part, str]
"""A part and its path."""


def is_content(part: Part) -> bool:
    """Whether a part stands inside a message; others are items of their own."""
    return isinstance(part, TextPart | RefusalPart) or (isinstance(part, MediaPart) and part.kind == "audio")


def begins_item(part: Part) -> bool:
    """Whether a part that stands inside a message begins a new one, also right behind another."""
    return item_mark(part) is not None


class ItemWriter:
    """`response_id` tells an answer for a client from a request for the provider; ids are made of it."""

    def __init__(self, losses: Losses, response_id: str | None = None) -> None:
        self.losses = losses
        self.response_id = response_id

    @property
    def reply(self) -> bool:
        return self.response_id is not None

    def items(self, parts: Iterable[Part], path: str, tokens: tuple[TokenLogprob, ...] | None = None) -> list[Item]:
        """`tokens`: log probabilities that are in no part; the first text is said to have them."""
        groups: list[list[Place]] = []
        for place, part in enumerate(parts):
            held = (part, f"{path}[{place}]")
            if groups and is_content(part) and is_content(groups[-1][-1][0]) and not begins_item(part):
                groups[-1].append(held)
            else:
                groups.append([held])
        written: list[Item] = []
        for group in groups:
            item = self.item(group, len(written), tokens)
            if item is not None:
                written.append(item)
                tokens = None if item["type"] == "message" else tokens
        return written

    def item(self, group: list[Place], index: int, tokens: tuple[TokenLogprob, ...] | None = None) -> Item | None:
        """One item of the parts that make it up; `index` is its place in the output."""
        part, path = group[0]
        if is_content(part):
            return self._message(group, index, tokens)
        return _WRITERS[type(part)](self, part, path, index)

    def _head(self, part: Part, prefix: str, index: int) -> Item:
        """The item's own fields, where it comes from this dialect; the items of an answer all have an id."""
        held = item_mark(part) or {}
        if self.response_id is None:
            return held
        status = {} if isinstance(part, ReasoningPart) else {"status": "completed"}
        return {"id": make_id(prefix, self.response_id, index), **status, **held}

    # ------------------------------------------------------------------------------------------------------------ message
    def _message(self, group: list[Place], index: int, tokens: tuple[TokenLogprob, ...] | None) -> Item | None:
        content: list[Item] = []
        for part, path in group:
            item = self._content(part, path, tokens)
            if item is not None:
                content.append(item)
                tokens = None if isinstance(part, TextPart) else tokens
        if not content:
            return None
        return {"type": "message", **self._head(group[0][0], "msg", index), "role": "assistant", "content": content}

    def _content(self, part: Part, path: str, tokens: tuple[TokenLogprob, ...] | None) -> Item | None:
        if isinstance(part, RefusalPart):
            return {"type": "refusal", "refusal": part.text}
        if isinstance(part, MediaPart):
            return output_audio(part) if self.reply else self._transcript(part, path)
        if not isinstance(part, TextPart):
            raise TypeError(f"{path}: a {type(part).__name__} does not stand inside a message")
        if not self.reply:
            check(part, path, self.losses)
        signature = {"signature": part.signature} if self.reply and part.signature is not None else {}
        cited = [write_citation(citation, part.text) for citation in part.citations]
        written = output_text(part, cited, tokens) | signature
        return written if self.reply else {key: value for key, value in written.items() if value != []}

    def _transcript(self, part: MediaPart, path: str) -> Item | None:
        if not part.transcript:
            self.losses.drop(path, "an assistant's sound cannot be sent back here; give its transcript")
            return None
        self.losses.change(path, "an assistant's sound was sent back as its transcript")
        return {"type": "output_text", "text": part.transcript}

    # -------------------------------------------------------------------------------------------------------- other items
    def _reasoning(self, part: ReasoningPart, path: str, index: int) -> Item | None:
        if self.reply:
            return self._head(part, "rs", index) | write_reasoning(part)
        self.losses.foreign(part.extra, path)
        if not is_ours(part):
            self.losses.drop(path, "the Responses API takes back only thoughts that one of its models has sealed; left out")
            return None
        return self._head(part, "rs", index) | write_reasoning(part)

    def _call(self, part: ToolCallPart, path: str, index: int) -> Item:
        if not self.reply:
            check(part, path, self.losses)
        kind, prefix, field = _CALLS[part.kind]
        head = {"type": kind, **self._head(part, prefix, index)}
        signature = {"signature": part.signature} if self.reply and part.signature is not None else {}
        return head | {"call_id": part.id, "name": part.name, field: part.arguments} | signature | own(part.extra)

    def _image(self, part: MediaPart, path: str, index: int) -> Item | None:
        """A generated picture. A history takes back only what a model of this API painted."""
        held = item_mark(part)
        if part.data is None or part.kind != "image" or (held is None and not self.reply):
            self.losses.drop(path, f"a {part.kind} cannot stand in an assistant's message here and was left out")
            return None
        form = (part.media_type or "image/png").removeprefix("image/")
        head = {"type": "image_generation_call", **self._head(part, "ig", index), "result": part.data}
        named = {} if part.id is None else {"id": part.id}
        return {"output_format": form} | head | named

    def _result(self, part: ToolResultPart, path: str, _index: int) -> None:
        self.losses.drop(path, f"the result of call {part.tool_call_id} cannot stand in an assistant's message")

    def _opaque(self, part: OpaquePart, path: str, _index: int) -> Item | None:
        return own_value(part, path, self.losses)


_CALLS = {"function": ("function_call", "fc", "arguments"), "custom": ("custom_tool_call", "ctc", "input")}
"""Kind of a call -> kind of its item, prefix of its id, field of its text."""

_WRITERS: dict[type, Callable[[ItemWriter, Any, str, int], Item | None]] = {
    ReasoningPart: ItemWriter._reasoning,  # noqa: SLF001 - a table of the class's own methods
    ToolCallPart: ItemWriter._call,  # noqa: SLF001 - as above
    MediaPart: ItemWriter._image,  # noqa: SLF001 - as above
    ToolResultPart: ItemWriter._result,  # noqa: SLF001 - as above
    OpaquePart: ItemWriter._opaque,  # noqa: SLF001 - as above
}
