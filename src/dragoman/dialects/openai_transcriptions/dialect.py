"""The verbs of transcriptions and translations: the request as a form, and the answer in whichever form a client asked for.

Which formats a model can give is the provider's business; what it gave is read into a TranscriptionResponse, out of which
every other format can be written as far as there are times in it.
"""

from __future__ import annotations

from collections.abc import Callable

from dragoman.core import json, subtitles
from dragoman.core.chat import Usage
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.json import Envelope
from dragoman.core.media import TranscriptionRequest, TranscriptionResponse
from dragoman.dialects import media_stream, openai_errors
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.media_wire import JSON
from dragoman.dialects.openai_transcriptions.answers import NAME, from_events, read_answer, write_answer, write_events

PLAIN = "text/plain; charset=utf-8"
VTT = "text/vtt; charset=utf-8"


class OpenAITranscriptions(wire.MediaDialect):
    """The verbs of `base.Dialect`."""

    name = NAME
    endpoint = "/audio/transcriptions"
    decode_binary = True
    fields: tuple[str, ...] = (
        "model",
        "language",
        "prompt",
        "response_format",
        "temperature",
        "timestamp_granularities",
        "include",
        "stream",
    )
    encode_error = staticmethod(openai_errors.encode_error)
    encode_stream_error = staticmethod(openai_errors.encode_stream_error)

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - the verb's signature; one path for all
        return self.endpoint

    def encode_request(self, request: TranscriptionRequest) -> EncodedRequest:
        file = wire.with_bytes(request.file, "file", self.name)
        fields = wire.said(request, self.fields) | request.extra.get(NAME, {})
        return wire.form(fields, [("file", file)], warnings=wire.unsaid(request, (*self.fields, "file"), NAME))

    def decode_request(self, body: bytes, content_type: str = JSON) -> TranscriptionRequest:
        """Raises BadRequestError that names the field, what was found and what is expected there."""
        given = wire.read_request(body, content_type)
        wire.only_files(given, "file")
        files = given.files.get("file", [])
        if len(files) != 1:
            raise wire.bad("file", f"expected one file in a form (multipart/form-data), found {len(files)}")
        fields, left = wire.known_fields(given, TranscriptionRequest, beside=("file",))
        return TranscriptionRequest(**{"model": "", **fields}, file=files[0], extra={NAME: left} if left else {})

    def decode_response(self, body: bytes, content_type: str) -> TranscriptionResponse:
        """JSON, a stream that came whole, subtitles or plain text. Raises ResponseDecodeError."""
        if content_type.lower().startswith("text/html"):
            raise ResponseDecodeError("the answer is a web page")
        if content_type.lower().startswith(JSON):
            return read_answer(wire.read_answer(body))
        if content_type.lower().startswith(media_stream.EVENT_STREAM) or media_stream.is_stream(body):
            return from_events(media_stream.read_events(body))
        try:
            text = body.decode()
        except UnicodeDecodeError:
            raise ResponseDecodeError("the answer is neither JSON nor text") from None
        segments = subtitles.read(text)
        if segments is None:
            return TranscriptionResponse(text=text.rstrip("\r\n"))
        return TranscriptionResponse(text=" ".join(segment.text.strip() for segment in segments), segments=segments)

    def encode_response(self, response: TranscriptionResponse, *, now: int) -> bytes:  # noqa: ARG002 - the verb's signature
        """JSON with everything that is known, whichever kind of JSON was asked for."""
        return json.encode(write_answer(response))

    def encode_answer(self, response: TranscriptionResponse, request: TranscriptionRequest, *, now: int) -> tuple[bytes, str]:
        """The body for a client and its media type: JSON, text, subtitles or events, as it asked.

        Raises ResponseDecodeError for subtitles of an answer without times.
        """
        if request.stream:
            return write_events(response), media_stream.EVENT_STREAM
        match request.response_format:
            case "text":
                return response.text.encode() + b"\n", PLAIN
            case "srt" | "vtt" as form:
                lines = subtitles.cues(response)
                if response.text and not lines:
                    raise ResponseDecodeError(f"the provider sent no times, so there is no {form}; ask for json or text")
                return subtitles.write(form, lines).encode(), PLAIN if form == "srt" else VTT
        return self.encode_response(response, now=now), JSON

    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:  # noqa: ARG002 - it always comes
        return {**envelope, "model": json.raw_text(model)}

    def relay_filter(self, envelope: Envelope) -> Callable[[bytes], bytes] | None:  # noqa: ARG002 - the verb's signature
        return None

    def read_usage(self, body: bytes) -> Usage | None:
        """None for what is no JSON; text and subtitles tell no usage."""
        try:
            value = json.decode(body)
        except (json.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        return wire.read_usage(value.get("usage"), NAME) if isinstance(value, dict) else None

    def stream_tap(self) -> media_stream.MediaTap:
        return media_stream.MediaTap(NAME)
