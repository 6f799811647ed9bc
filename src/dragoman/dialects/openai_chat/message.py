"""What an assistant's message holds beside content and calls: annotations, signatures, audio, images; in both directions.

The same message comes back from a provider, is sent to a client, and returns in the next request's history, so one file
reads and writes it. Reading is lenient: what has another shape than expected stays in the message and goes to `extra`.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dragoman.core.chat import Citation, MediaPart, OpaquePart, Part, ReasoningPart, RefusalPart, TextPart, ToolCallPart
from dragoman.dialects.openai_chat.reasoning import in_content, write_reasoning
from dragoman.dialects.openai_chat.wire import (
    NAME,
    data_url,
    extra,
    mark,
    own,
    read_citations,
    said,
    split_data_url,
    write_citation,
)


def take_marks(content: list[Part], message: dict[str, Any]) -> list[Part]:
    """Puts the message's citations and Gemini's thought signature on its last text."""
    citations, others = read_citations(message.pop("annotations", None))
    if others:
        message["annotations"] = others
    signature = google_signature(message)
    place = next((index for index in range(len(content) - 1, -1, -1) if isinstance(content[index], TextPart)), None)
    if place is None:
        return [*content, TextPart(text="", citations=citations)] if citations else content
    text = content[place]
    marked = replace(text, citations=citations, signature=signature) if citations or signature else text
    return [*content[:place], marked, *content[place + 1 :]]


def google_signature(holder: dict[str, Any]) -> str | None:
    """`extra_content.google.thought_signature` (https://ai.google.dev/gemini-api/docs/thought-signatures)."""
    google = _dict(_dict(holder.get("extra_content")).get("google"))
    signature = google.get("thought_signature")
    return signature if type(signature) is str and signature else None


def write_signature(signature: str) -> dict[str, Any]:
    return {"google": {"thought_signature": signature}}


def take_call_signature(call: dict[str, Any]) -> str | None:
    """As `google_signature`, and removes `extra_content` if there is nothing else in it."""
    signature = google_signature(call)
    if signature and call.get("extra_content") == write_signature(signature):
        del call["extra_content"]
    return signature


def take_media(message: dict[str, Any]) -> list[MediaPart]:
    """Generated `images` and `audio`; an `audio` object whose fields are all empty is none."""
    images = message.pop("images", None)
    found = [read_image(item) for item in images if _dict(item)] if type(images) is list else []
    audio = {key: value for key, value in _dict(message.pop("audio", None)).items() if value}
    return [*found, read_audio(audio)] if audio else found


def read_image(item: dict[str, Any]) -> MediaPart:
    held = item.get("image_url")
    url = held if type(held) is str else _dict(held).get("url") or ""
    embedded = split_data_url(url)
    if embedded:
        return MediaPart(kind="image", media_type=embedded[0], data=embedded[1])
    return MediaPart(kind="image", url=url)


def write_image(part: MediaPart, index: int) -> dict[str, Any]:
    url = data_url(part.media_type or "image/png", part.data) if part.data is not None else part.url or ""
    return {"type": "image_url", "image_url": {"url": url}, "index": index}


def read_audio(audio: dict[str, Any]) -> MediaPart:
    left = dict(audio)
    call_id, data, transcript = left.pop("id", None), left.pop("data", None), left.pop("transcript", None)
    return MediaPart(kind="audio", id=call_id, data=data, transcript=transcript, extra=extra(left))


def write_audio(part: MediaPart) -> dict[str, Any]:
    return said({"id": part.id, "data": part.data, "transcript": part.transcript}) | own(part.extra)


def take_opaque(message: dict[str, Any]) -> list[OpaquePart]:
    """Blocks of other dialects which a client got from us (see `write_assistant`) and gives back."""
    specific = _dict(message.get("provider_specific_fields"))
    held = specific.get("opaque_parts")
    blocks = [block for block in held if _dict(_dict(block).get("value"))] if type(held) is list else []
    if blocks:
        message["provider_specific_fields"] = {key: value for key, value in specific.items() if key != "opaque_parts"}
        if not message["provider_specific_fields"]:
            del message["provider_specific_fields"]
    return [OpaquePart(dialect=str(block.get("dialect")), value=block["value"]) for block in blocks]


def write_opaque(part: OpaquePart) -> dict[str, Any]:
    return {"dialect": part.dialect, "value": part.value}


def _dict(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}


# --------------------------------------------------------------------------------------------------------------- writing
def write_marks(texts: list[TextPart]) -> dict[str, Any]:
    """`annotations` and the thought signature of a message's texts."""
    fields: dict[str, Any] = {}
    citations = placed_citations(texts)
    if citations:
        fields["annotations"] = [write_citation(citation) for citation in citations]
    signature = next((text.signature for text in reversed(texts) if text.signature), None)
    if signature:
        fields["extra_content"] = write_signature(signature)
    return fields


def placed_citations(texts: list[TextPart]) -> list[Citation]:
    """Citations count characters in their own text; the dialect counts in all the texts of the message, joined."""
    placed: list[Citation] = []
    offset = 0
    for text in texts:
        placed += [shifted(citation, offset) for citation in text.citations]
        offset += len(text.text)
    return placed


def shifted(citation: Citation, offset: int) -> Citation:
    if not offset or citation.start_index is None or citation.end_index is None:
        return citation
    return replace(citation, start_index=citation.start_index + offset, end_index=citation.end_index + offset)


def write_assistant(parts: tuple[Part, ...], *, replay: bool) -> dict[str, Any]:
    """Everything of an assistant's message but its role and content.

    `replay`: for a provider, in the issuer's spelling. For a client, blocks that only another dialect can read ride in
    `provider_specific_fields` (LiteLLM's place for such), so that its next request can bring them back.
    """
    reasoning = [part for part in parts if isinstance(part, ReasoningPart) and not (replay and in_content(part))]
    texts = [part for part in parts if isinstance(part, TextPart)]
    refusals = [part.text for part in parts if isinstance(part, RefusalPart)]
    media = [part for part in parts if isinstance(part, MediaPart)]
    images, audio = [part for part in media if part.kind == "image"], [part for part in media if part.kind == "audio"]
    calls = [part for part in parts if isinstance(part, ToolCallPart)]
    legacy = [call for call in calls if is_legacy(call)]
    opaque = [] if replay else [write_opaque(part) for part in parts if isinstance(part, OpaquePart)]
    fields: dict[str, Any] = write_reasoning(reasoning, replay=replay) | write_marks(texts)
    if opaque:
        fields["provider_specific_fields"] = {"opaque_parts": opaque}
    if refusals:
        fields["refusal"] = "".join(refusals)
    if images:
        fields["images"] = [write_image(part, index) for index, part in enumerate(images)]
    if audio:
        fields["audio"] = write_audio(audio[0])
    if legacy:
        fields["function_call"] = {"name": legacy[0].name, "arguments": legacy[0].arguments}
    elif calls:
        fields["tool_calls"] = [write_call(call) for call in calls]
    return fields


def is_legacy(call: ToolCallPart) -> bool:
    """A call in the old `function_call` field, which has no id and no companion."""
    return bool(mark(call.extra, "_legacy"))


def write_call(call: ToolCallPart) -> dict[str, Any]:
    written: dict[str, Any] = {"id": call.id} if call.id else {}
    if call.kind == "custom":
        written |= {"type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    else:
        written |= {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    if call.cache_control is not None:
        written["cache_control"] = call.cache_control
    if call.signature:
        written["extra_content"] = write_signature(call.signature)
    return written | own(call.extra)


def own_opaque(part: Part) -> bool:
    return isinstance(part, OpaquePart) and part.dialect == NAME
