"""Our parts -> parts of the wire. Two writers share it: requests for the provider, and answers for a client of this dialect.

A writer notes in its `Losses` what the wire has no word for. An answer may say more than a request: signatures of other
providers, wrapped (see `signatures`), which a client sends back. Citations of answers are the candidate's, see `grounding`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any

from dragoman.core.chat import (
    MediaPart,
    OpaquePart,
    Part,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from dragoman.dialects.gemini import signatures
from dragoman.dialects.gemini.common import NAME, Losses, mark, own, parse_object, said_id
from dragoman.dialects.gemini.read_parts import KEYS, type_of

Body = dict[str, Any]

_ASSUMED = {"image": "image/png", "audio": "audio/wav", "video": "video/mp4", "document": "application/pdf"}


class PartWriter:
    """`reply` tells an answer for a client from a request for the provider; `names` are the functions of calls, by id."""

    def __init__(self, losses: Losses, *, reply: bool) -> None:
        self.losses = losses
        self.reply = reply
        self.names: dict[str, str] = {}

    def parts(self, parts: Iterable[Part], path: str) -> list[Body]:
        """The wire's parts; `path` is where they stand."""
        written = (self.part(part, f"{path}[{place}]") for place, part in enumerate(parts))
        return [part for part in written if part is not None]

    def part(self, part: Part, path: str) -> Body | None:
        if not isinstance(part, RefusalPart | OpaquePart):
            self.losses.foreign(part.extra, path)
            if getattr(part, "cache_control", None) is not None:
                self.losses.drop(f"{path}.cache_control", "Gemini caches by itself, or by the name given in cachedContent")
        return _WRITERS[type(part)](self, part, path)

    def text(self, part: TextPart, path: str) -> Body | None:
        if not (part.text or part.signature or self.reply):
            return None
        if part.citations and not self.reply:
            self.losses.drop(f"{path}.citations", "Gemini takes back no citations")
        return {**own(part.extra), "text": part.text, **signed(part.signature)}

    def refusal(self, part: RefusalPart, path: str) -> Body | None:
        if not self.reply:
            self.losses.change(path, "a refusal is sent back as plain text")
        return {"text": part.text} if part.text or self.reply else None

    def reasoning(self, part: ReasoningPart, path: str) -> Body | None:
        """Thoughts of other providers go along as text; their signatures mean nothing to Gemini."""
        body: Body = {**own(part.extra), "text": part.text, "thought": True}
        if mark(part.extra, signatures.SIGNED):
            return body | signed(part.signature)
        if self.reply:
            return body | signed(signatures.wrap(part))
        if part.redacted is not None or part.signature is not None:
            what = "redacted thinking" if part.redacted is not None else "the signature of thinking"
            self.losses.drop(path, f"{what} of another provider is left out; only its issuer can read it")
        return body if part.text else None

    def tool_call(self, part: ToolCallPart, path: str) -> Body:
        self.names[part.id] = part.name
        beside = own(part.extra)
        call = {**beside.pop("functionCall", {}), **said_id(part.id), "name": part.name, "args": self.arguments(part, path)}
        return {**beside, "functionCall": call, **signed(part.signature)}

    def arguments(self, part: ToolCallPart, path: str) -> Body:
        """The arguments as an object. Broken JSON in a history is the model's doing and no reason to lose the conversation."""
        if part.kind == "custom":
            self.losses.change(
                f"{path}.arguments", 'a custom tool\'s text is sent as {"input": text}; Gemini takes objects only'
            )
            return {"input": part.arguments}
        parsed = parse_object(part.arguments)
        if parsed is None:
            message = 'no JSON object; sent as {"_raw": text} so that the model sees what it wrote'
            self.losses.change(f"{path}.arguments", message)
            return {"_raw": part.arguments}
        return parsed

    def tool_result(self, part: ToolResultPart, path: str) -> Body:
        beside = own(part.extra)
        response: Body = {**beside.pop("functionResponse", {}), **said_id(part.tool_call_id), "name": self._name(part, path)}
        texts = [held.text for held in part.parts if isinstance(held, TextPart | RefusalPart)]
        response["response"] = _response("\n".join(texts), part)
        rest = [held for held in part.parts if not isinstance(held, TextPart | RefusalPart)]
        if media := self.parts(rest, f"{path}.content"):
            response["parts"] = media
        return {**beside, "functionResponse": response}

    def _name(self, part: ToolResultPart, path: str) -> str:
        """A result names its function here, and elsewhere only the call."""
        name = self.names.get(part.tool_call_id) or mark(part.extra, "_name")
        if name is None:
            message = "Gemini wants the name of the function and the call is not in the conversation; its id was sent"
            self.losses.change(f"{path}.tool_call_id", message)
        return name or part.tool_call_id

    def opaque(self, part: OpaquePart, path: str) -> Body | None:
        if part.dialect == NAME:
            return part.value
        self.losses.drop(path, f"only {part.dialect} knows this part; Gemini has no word for it")
        return None

    def media(self, part: MediaPart, path: str) -> Body | None:
        beside = own(part.extra)
        if part.detail not in (None, "auto"):
            self.losses.drop(f"{path}.detail", "use Gemini's generationConfig.mediaResolution for the resolution of images")
        if part.id is not None or (part.transcript and part.data):
            self.losses.drop(path, "the id and the transcript of generated sound are left out")
        if part.data is not None or part.text is not None:
            data = part.data if part.text is None else base64.b64encode(part.text.encode()).decode()
            return {**beside, "inlineData": {**beside.get("inlineData", {}), **self._typed(part, path), "data": data}}
        where = part.url if part.url is not None else part.file_id
        if where is None:
            if not part.transcript:
                self.losses.drop(path, f"the {part.kind} has neither data, url, file_id nor (documents) text")
            return {"text": part.transcript} if part.transcript else None
        media_type = part.media_type or type_of(where)
        kind = {"mimeType": media_type} if media_type else {}
        return {**beside, "fileData": {**beside.get("fileData", {}), **kind, **self._label(part, path), "fileUri": where}}

    def _typed(self, part: MediaPart, path: str) -> Body:
        assumed = "text/plain" if part.text is not None else type_of(part.filename or "") or _ASSUMED[part.kind]
        if part.media_type is None and part.text is None:
            self.losses.change(f"{path}.media_type", f"none was given where Gemini wants one; {assumed} is assumed")
        return {"mimeType": part.media_type or assumed, **self._label(part, path)}

    def _label(self, part: MediaPart, path: str) -> Body:
        """A mere name, which the developers' API refuses: only who spoke this dialect gets it back."""
        if part.filename is None:
            return {}
        if mark(part.extra, "_named"):
            return {"displayName": part.filename}
        self.losses.drop(f"{path}.filename", "Gemini takes no file names; say in the text what the file is called")
        return {}


def signed(signature: str | None) -> Body:
    return {} if signature is None else {"thoughtSignature": signature}


def _response(text: str, part: ToolResultPart) -> Body:
    """A JSON object is the response itself; other text stands under the key that the vendor reads, or that it came under."""
    key = mark(part.extra, "_key")
    if key is not None:
        return {key: text}
    if not text and not part.is_error:
        return {}
    parsed = parse_object(text) if text.strip() else None
    if part.is_error:
        return {KEYS[1]: text if parsed is None else parsed}
    return {KEYS[0]: text} if parsed is None else parsed


_WRITERS: dict[type, Callable[[PartWriter, Any, str], Body | None]] = {
    TextPart: PartWriter.text,
    RefusalPart: PartWriter.refusal,
    ReasoningPart: PartWriter.reasoning,
    ToolCallPart: PartWriter.tool_call,
    ToolResultPart: PartWriter.tool_result,
    OpaquePart: PartWriter.opaque,
    MediaPart: PartWriter.media,
}
