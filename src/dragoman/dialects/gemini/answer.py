"""An answer, whole or in pieces -> events. Every piece is an answer of its own shape, so one reader serves both.

A candidate's texts and thoughts grow from piece to piece until something else comes; a signature closes the part it stands on.
Metadata that a candidate gathers (grounding, safety) is laid over what came before. Called by `response` and `stream_decode`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec.structs import replace

from dragoman.core import events as ev
from dragoman.core import json
from dragoman.core.chat import Finish, Part, ReasoningPart, TextPart, TokenLogprob, ToolCallPart, Warning
from dragoman.dialects.gemini.common import decode_finish, extra_of, made_id
from dragoman.dialects.gemini.errors import blocked, stream_error
from dragoman.dialects.gemini.fields import Fields
from dragoman.dialects.gemini.grounding import citations_of
from dragoman.dialects.gemini.logprobs import read_logprobs
from dragoman.dialects.gemini.partial_args import PartialArgs
from dragoman.dialects.gemini.read_parts import decode_part
from dragoman.dialects.gemini.usage import decode_usage, tier_of

Events = list[ev.Event]
Tokens = tuple[TokenLogprob, ...] | None


class _Open:
    """The part that is being built. `sealed`: nothing more belongs to it, but its end waits for late metadata."""

    def __init__(self, index: int, part: Part) -> None:
        self.index = index
        self.kind = type(part)
        self.text: list[str] = []
        self.signature: str | None = None
        self.extra: dict[str, dict[str, Any]] = {}
        self.sealed = False
        self.arguments: PartialArgs | None = None


class _Candidate:
    def __init__(self, index: int) -> None:
        self.index = index
        self.parts = 0
        self.open: _Open | None = None
        self.called = False
        self.native: Any = None
        self.beyond: dict[str, Any] = {}

    def finish(self) -> Finish:
        if self.native is None:
            return Finish(reason="unknown")
        return decode_finish(self.native, called=self.called)


class AnswerReader:
    """`complete`: every candidate that began has said why it ended. `over`: a failure ended the answer."""

    def __init__(self) -> None:
        self.over = False
        self._id = ""
        self._begun = False
        self._calls = 0
        self._candidates: dict[int, _Candidate] = {}
        self._usage: dict[str, Any] = {}
        self._extra: dict[str, Any] = {}

    @property
    def complete(self) -> bool:
        return bool(self._candidates) and all(one.native is not None for one in self._candidates.values())

    @property
    def empty(self) -> bool:
        return not self._candidates

    def take(self, value: Any, out: Events) -> None:
        """One piece. Raises FieldError or ValueError for what makes no sense."""
        if isinstance(value, dict) and value.get("error") is not None:
            self._fail(stream_error(value), out)
            return
        piece = Fields(value, "")
        usage = piece.take("usageMetadata", "an object")
        self._begin(piece, usage, out)
        candidates = piece.items("candidates")
        feedback = piece.values.get("promptFeedback")
        if isinstance(feedback, dict) and feedback.get("blockReason") is not None and not candidates:
            self._report(usage, out)
            self._fail(blocked(feedback), out)
            return
        for path, candidate in candidates:
            self._candidate(Fields(candidate, path), out)
        self._report(usage, out)
        out.extend(_heard(piece))
        self._extra |= piece.left()

    def end(self, out: Events) -> None:
        for candidate in self._candidates.values():
            self._close(candidate, out)
        count = max(self._candidates, default=-1) + 1
        ordered = [self._candidates.get(index) or _Candidate(index) for index in range(count)]
        out.append(
            ev.ResponseEnd(
                finishes=tuple(candidate.finish() for candidate in ordered),
                choice_extra=tuple(extra_of(candidate.beyond) for candidate in ordered),
                extra=extra_of(self._extra),
            )
        )

    def _fail(self, error: ev.StreamError, out: Events) -> None:
        self.over = True
        out.append(error)

    # ---------------------------------------------------------------------------------------------------------------- head
    def _begin(self, piece: Fields, usage: dict[str, Any] | None, out: Events) -> None:
        id_, model = piece.take("responseId", "a string"), piece.take("modelVersion", "a string")
        written = piece.take("createTime", "a string")
        if self._begun:
            return
        self._begun = True
        self._id = id_ or ""
        start = ev.ResponseStart(id=self._id, model=model or "", created=_seconds(written), service_tier=tier_of(usage))
        out.append(start if written is None else replace(start, extra=extra_of({"_created": written})))

    def _report(self, usage: dict[str, Any] | None, out: Events) -> None:
        if usage is not None and usage != self._usage:
            self._usage = usage
            out.append(ev.UsageReport(usage=decode_usage(usage)))

    # ---------------------------------------------------------------------------------------------------------- candidates
    def _candidate(self, fields: Fields, out: Events) -> None:
        index = fields.integer("index") or 0
        candidate = self._candidates.setdefault(index, _Candidate(index))
        content = fields.part("content")
        native = fields.take("finishReason", "a string or an integer")
        tokens = read_logprobs(fields.take("logprobsResult", "an object"))
        for key, value in fields.left().items():
            held = candidate.beyond.get(key)
            candidate.beyond[key] = {**held, **value} if isinstance(held, dict) and isinstance(value, dict) else value
        for path, part in content.items("parts"):
            tokens = self._part(candidate, part, path, tokens, out)
        candidate.native = candidate.native if native is None else native

    def _part(self, candidate: _Candidate, value: Any, path: str, tokens: Tokens, out: Events) -> Tokens:
        """Gives back the tokens that are not said yet."""
        call = value.get("functionCall") if isinstance(value, dict) else None
        if isinstance(call, dict) and "name" not in call:
            self._continue_call(candidate, call, out)
            return tokens
        part = decode_part(value, path, name_call=self._new_id, name_result=self._new_id)
        if isinstance(part, ToolCallPart):
            self._call(candidate, part, call or {}, out)
        elif isinstance(part, TextPart) or (isinstance(part, ReasoningPart) and part.redacted is None):
            return self._grow(candidate, part, tokens, out)
        else:
            self._start(candidate, part, out)
            self._close(candidate, out)
        return tokens

    def _new_id(self, _name: str) -> str:
        self._calls += 1
        return made_id(self._id, self._calls)

    def _start(self, candidate: _Candidate, part: Part, out: Events) -> _Open:
        self._close(candidate, out)
        candidate.open = _Open(candidate.parts, part)
        candidate.parts += 1
        out.append(ev.PartStart(index=candidate.open.index, part=part, choice=candidate.index))
        return candidate.open

    def _close(self, candidate: _Candidate, out: Events) -> None:
        part, candidate.open = candidate.open, None
        if part is None:
            return
        if part.arguments is not None:
            self._say_arguments(candidate, part, json.encode(part.arguments.value).decode(), out)
        cited = citations_of(candidate.beyond.get("groundingMetadata"), "".join(part.text)) if part.kind is TextPart else ()
        out.append(
            ev.PartEnd(index=part.index, choice=candidate.index, signature=part.signature, citations=cited, extra=part.extra)
        )

    def _grow(self, candidate: _Candidate, part: TextPart | ReasoningPart, tokens: Tokens, out: Events) -> Tokens:
        held = candidate.open
        if held is None or held.kind is not type(part) or (held.sealed and part.text):
            if not (part.text or part.signature or part.extra):
                return tokens
            held = self._start(candidate, replace(part, text="", signature=None, extra={}), out)
        if part.text:
            held.text.append(part.text)
            kind = ev.TextDelta if isinstance(part, TextPart) else ev.ReasoningDelta
            out.append(kind(index=held.index, text=part.text, choice=candidate.index, logprobs=tokens))
            tokens = None
        if part.signature is not None or part.extra:
            held.signature, held.extra, held.sealed = part.signature or held.signature, part.extra or held.extra, True
        return tokens

    # --------------------------------------------------------------------------------------------------------------- calls
    def _call(self, candidate: _Candidate, part: ToolCallPart, call: dict[str, Any], out: Events) -> None:
        """A call is whole, or the beginning of one whose arguments follow."""
        candidate.called = True
        pieces, more = call.get("partialArgs"), call.get("willContinue") is True
        beside = _without_pieces(part)
        held = self._start(candidate, replace(part, arguments="", signature=None, extra=beside), out)
        held.signature = part.signature
        if more or pieces:
            held.arguments = PartialArgs()
            self._continue_call(candidate, call, out)
        else:
            self._say_arguments(candidate, held, part.arguments, out)
            self._close(candidate, out)

    def _continue_call(self, candidate: _Candidate, call: dict[str, Any], out: Events) -> None:
        held = candidate.open
        if held is None or held.arguments is None:
            return  # the end of a call that was whole already
        for piece in call.get("partialArgs") or ():
            held.arguments.take(piece)
        if call.get("willContinue") is not True:
            self._close(candidate, out)

    def _say_arguments(self, candidate: _Candidate, part: _Open, text: str, out: Events) -> None:
        out.append(ev.ToolCallDelta(index=part.index, arguments=text, choice=candidate.index))


def _without_pieces(part: ToolCallPart) -> dict[str, dict[str, Any]]:
    """What rides along with a call, but for how it was streamed."""
    held = dict(next(iter(part.extra.values()), {}))
    beside = {key: value for key, value in held.pop("functionCall", {}).items() if key not in ("partialArgs", "willContinue")}
    return extra_of(held | ({"functionCall": beside} if beside else {}))


def _seconds(written: str | None) -> int | None:
    """A time like 2026-05-27T16:53:45.443719Z as Unix seconds; None for what is none."""
    try:
        return None if written is None else int(datetime.fromisoformat(written).timestamp())
    except ValueError:
        return None


def _heard(piece: Fields) -> list[Warning]:
    """The warnings of a gateway of our own kind upstream."""
    said = piece.values.pop("dragoman", None)
    try:
        return msgspec.convert(said, _Noted).warnings if said else []
    except msgspec.ValidationError:
        return []


class _Noted(msgspec.Struct):
    warnings: list[Warning] = []
