"""Does the calls for pictures and sound: sorts their arguments, runs the engine's flow, makes objects of the answers.

A call is written as a request in OpenAI's dialect, JSON or a form with the files in it, and answered as OpenAI would. Answers
come whole: streams of these operations are served by the gateway. Loaded by `media_calls` at the first such call.
"""

from __future__ import annotations

import time
from typing import Any

from dragoman.client import results
from dragoman.client.arguments import CONTROLS, PLACE
from dragoman.client.media_calls import AnyCaller, AsyncCaller, Caller
from dragoman.client.media_files import media_file, media_files
from dragoman.client.media_objects import ImageResponse, SpeechAudio, TranscriptionResponse
from dragoman.client.openai_errors import dress
from dragoman.core import json
from dragoman.core.chat import Warning
from dragoman.core.errors import BadRequestError, DragomanError, UnsupportedParamsError
from dragoman.core.media import ImageRequest, TranscriptionRequest
from dragoman.dialects import registry
from dragoman.dialects.media_wire import Given, known_fields
from dragoman.engine.call import Call
from dragoman.engine.drive import adrive, drive
from dragoman.engine.flow import Answer, answer

Warnings = tuple[Warning, ...]

DIALECTS = {
    "image": "openai_images",
    "image_edit": "openai_image_edits",
    "image_variation": "openai_image_variations",
    "speech": "openai_speech",
    "transcription": "openai_transcriptions",
    "translation": "openai_translations",
}
"""Operation -> the dialect its arguments are written in."""

_PARAMETERS = {
    "image": frozenset(
        """
        prompt n size quality style response_format background output_format output_compression moderation partial_images user
        """.split()
    ),
    "speech": frozenset({"input", "voice", "instructions", "response_format", "speed", "stream_format"}),
}
_FORMS: dict[str, type] = {
    "image_edit": ImageRequest,
    "image_variation": ImageRequest,
    "transcription": TranscriptionRequest,
    "translation": TranscriptionRequest,
}
_FILES = {"image": "images", "mask": "mask", "file": "file"}
"""Argument -> field of the request that holds its file."""


def media_call(client: AnyCaller, operation: str, model: str, given: dict[str, Any]) -> tuple[Call, Warnings]:
    """The call for the caller's keywords, and what of them OpenAI's dialect has no field for. Raises BadRequestError."""
    form = operation in _FORMS
    files = {name: given[name] for name in _FILES if name in given and form}
    said = {name: value for name, value in given.items() if name not in files}
    for name in ("stream", "mock_response"):
        if said.pop(name, None):
            raise BadRequestError(f"{name}: not a part of this call, whose answer comes whole; leave it out")
    if form:  # what the provider alone knows is a field of the form, and there is no object to merge it into
        said = {**said, **(said.pop("extra_body", None) or {})}
    known = frozenset(said) - PLACE - CONTROLS if form else _PARAMETERS[operation]
    sorted_out = client._sorted(model, known, said)  # noqa: SLF001 - these are methods of the client
    body, content_type = sorted_out.body, "application/json"
    lost: Warnings = ()
    if form:
        body, content_type, lost = _form(operation, json.decode(sorted_out.body), files)
    if lost and sorted_out.options.strict:
        raise UnsupportedParamsError("; ".join(f"{warning.field}: {warning.message}" for warning in lost))
    call = client._call(model, operation, sorted_out, dialect=DIALECTS[operation], body=body, content_type=content_type)  # noqa: SLF001 - as above
    return call, lost


def _form(operation: str, fields: dict[str, Any], files: dict[str, Any]) -> tuple[bytes, str, Warnings]:
    """The request as OpenAI's dialect writes it: a form, or JSON where an image is given by its address."""
    dialect, kind = registry.get(DIALECTS[operation]), _FORMS[operation]
    known, left = known_fields(Given(fields, {}, form=False), kind)
    for name, value in files.items():
        if value is not None:
            known[_FILES[name]] = media_files(name, value) if name == "image" else media_file(name, value)
    if kind is TranscriptionRequest and "file" not in known:
        raise BadRequestError("file: expected the sound to transcribe, found nothing")
    extra = {"openai_images" if kind is ImageRequest else "openai_transcriptions": left} if left else {}
    body, lost, content_type = dialect.encode_request(kind(**known, extra=extra))
    return body if isinstance(body, bytes) else json.encode(body), content_type, lost


# -------------------------------------------------------------------------------------------------------------- results
def _finished(found: Answer, call: Call, lost: Warnings) -> Any:
    call.warnings = lost + call.warnings + found.response.warnings
    made = _object(found, call)
    results.describe(made, call, found.prepared, found.raw.headers)
    return made


def _object(found: Answer, call: Call) -> ImageResponse | SpeechAudio | TranscriptionResponse:
    if call.operation == "speech":
        return SpeechAudio(found.response.audio, found.response.media_type)
    body, media_type = registry.get(call.dialect).encode_answer(found.response, call.request, now=int(time.time()))
    kind = ImageResponse if _FORMS.get(call.operation, ImageRequest) is ImageRequest else TranscriptionResponse
    fields = json.decode(body) if media_type == "application/json" else {"text": body.decode()}
    made: ImageResponse | TranscriptionResponse = kind.of(fields)
    return made


def run(client: Caller, operation: str, model: str, given: dict[str, Any]) -> Any:
    """The result of a call; the errors are also those of `openai` where that is imported."""
    try:
        call, lost = media_call(client, operation, model, given)
        return _finished(drive(answer(call, time.monotonic, time.time), client._transport), call, lost)  # noqa: SLF001 - as above
    except DragomanError as error:
        dress(error)
        raise


async def arun(client: AsyncCaller, operation: str, model: str, given: dict[str, Any]) -> Any:
    """`run`, awaited."""
    try:
        call, lost = media_call(client, operation, model, given)
        return _finished(await adrive(answer(call, time.monotonic, time.time), client._transport), call, lost)  # noqa: SLF001 - as above
    except DragomanError as error:
        dress(error)
        raise
