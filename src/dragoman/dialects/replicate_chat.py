"""Language models on Replicate: a prediction is created first and asked for until it is there, or read as it is written.

These models are prompted: messages become `prompt` and `system_prompt`, further inputs are those that most of them have, and
a model's own go through as `input`. A stream stands at an address that the answer to the creation names (`stream_at`); its
events are plain text and no JSON. Upstream half only. https://replicate.com/docs/reference/http
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.chat import ChatRequest, ChatResponse, Choice, Finish, MediaPart, Message, TextPart, Usage
from dragoman.core.errors import ErrorDetail, ResponseDecodeError, error_for
from dragoman.core.events import Event, PartEnd, PartStart, ResponseEnd, ResponseStart, StreamError, TextDelta
from dragoman.core.http import HttpResponse
from dragoman.core.sse import ServerSentEvent, SSEDecoder, SSETooLargeError
from dragoman.dialects import openai_errors
from dragoman.dialects.base import EncodedRequest, Poll, StreamDecoder
from dragoman.dialects.losses import UNCOMMON, Losses, Rule, taken
from dragoman.dialects.prompting import as_prompt
from dragoman.dialects.read_values import need_text
from dragoman.dialects.replicate_images import DIALECT as IMAGES

NAME = "replicate_chat"
WAIT = 0.5
"""Seconds between two questions."""

Body = dict[str, Any]

_INPUTS = ("temperature", "top_p", "top_k", "seed", "frequency_penalty", "presence_penalty")
_NEW_TOKENS = ("llama-2", "mistral", "mixtral", "llava", "vicuna", "falcon")
"""Models, by a part of their name, that call the limit `max_new_tokens`."""
_NATIVE = frozenset(
    {"input", "length_penalty", "max_new_tokens", "min_new_tokens", "min_tokens", "prompt_template", "repetition_penalty"}
)
_UNSAYABLE: tuple[Rule, ...] = (
    *(rule for rule in UNCOMMON if rule[0] not in _INPUTS),
    ("tools", ((),)),
    ("tool_choice", (None,)),
    ("response_format", (None,)),
    ("reasoning", (None,)),
)
_SHOWN = 500


class ReplicateChat:
    name = NAME
    decode_error = staticmethod(openai_errors.decode_error)

    def path(self, model: str, *, stream: bool) -> str:
        """Under the model, or for "owner/name:version" under its version."""
        return IMAGES.path(model, stream=stream)

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        return _encoded(request)

    def poll(self, response: HttpResponse) -> Poll | None:
        found = IMAGES.poll(response)
        return None if found is None else found._replace(wait=WAIT)

    def stream_at(self, response: HttpResponse) -> Poll | None:
        """Where the answer can be read as it is written. None for a model that does not stream: then `poll` for it."""
        try:
            address = json.decode(response.body)["urls"]["stream"]
        except (json.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
            return None
        return Poll(address, 0.0) if isinstance(address, str) else None

    def decode_response(self, body: bytes) -> ChatResponse:
        try:
            return _response(json.decode(body))
        except (json.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError, AttributeError) as problem:
            shown = body[:_SHOWN].decode("utf-8", "replace")
            raise ResponseDecodeError(f"the answer is no prediction with a text: {problem!r}", body=shown) from None

    def stream_decoder(self) -> StreamDecoder:
        return ReplicateStreamDecoder()


DIALECT = ReplicateChat()


# -------------------------------------------------------------------------------------------------------------- request
def _encoded(request: ChatRequest) -> EncodedRequest:
    losses = Losses(NAME, "a model on Replicate")
    losses.unsayable(request, _UNSAYABLE)
    losses.foreign(request.extra, "", _NATIVE)
    messages, images = _without_images(request.messages)
    for place, message in enumerate(messages):
        losses.foreign(message.extra, f"messages[{place}]")
    prompt = as_prompt(messages, losses)
    if prompt.flattened:
        losses.change("messages", "models on Replicate are prompted; the conversation was written out as one prompt")
    given: Body = {"prompt": prompt.text}
    if prompt.system:
        given["system_prompt"] = prompt.system
    given |= _image(images, losses)
    if request.max_tokens is not None:
        given["max_new_tokens" if any(name in request.model for name in _NEW_TOKENS) else "max_tokens"] = request.max_tokens
    given |= {name: value for name in _INPUTS if (value := getattr(request, name)) is not None}
    given |= _stop(request.stop, losses)
    native = taken(request.extra, NAME, _NATIVE)
    own = native.pop("input", None) or {}
    body: Body = {"input": given | native | own}
    if DIALECT.path(request.model, stream=False) == "/predictions":
        body["version"] = request.model.rpartition(":")[2]
    return EncodedRequest(body | ({"stream": True} if request.stream else {}), tuple(losses.warnings))


def _without_images(messages: Iterable[Message]) -> tuple[list[Message], list[MediaPart]]:
    found: list[MediaPart] = []
    kept = []
    for message in messages:
        found += [part for part in message.parts if isinstance(part, MediaPart) and part.kind == "image"]
        parts = tuple(part for part in message.parts if not (isinstance(part, MediaPart) and part.kind == "image"))
        kept.append(replace(message, parts=parts))
    return kept, found


def _image(images: list[MediaPart], losses: Losses) -> Body:
    if not images:
        return {}
    if len(images) > 1:
        losses.drop("messages", f"models on Replicate take one image; the first of {len(images)} was sent")
    first = images[0]
    losses.change("messages", "the image was sent as the input `image`; a model that has no such input does not see it")
    return {"image": first.url or f"data:{first.media_type or 'image/png'};base64,{first.data}"}


def _stop(stop: tuple[str, ...], losses: Losses) -> Body:
    """One text, in which commas part the sequences."""
    sayable = [text for text in stop if "," not in text]
    if len(sayable) < len(stop):
        losses.drop("stop", "stop sequences with a comma cannot be said on Replicate, where commas part them")
    return {"stop_sequences": ",".join(sayable)} if sayable else {}


# ------------------------------------------------------------------------------------------------------------- response
def _response(value: Body) -> ChatResponse:
    """Raises what the prediction failed with."""
    status, output = need_text(value["status"]), value.get("output")
    if status in ("failed", "canceled", "aborted"):
        raise error_for(502, ErrorDetail(message=str(value.get("error") or f"the prediction was {status}"), type=status))
    text = output if isinstance(output, str) else "".join(output or ())
    left = {key: value[key] for key in ("model", "version", "metrics") if value.get(key)}
    return ChatResponse(
        id=need_text(value["id"]),
        model="",
        created=_created(value.get("created_at")),
        choices=(
            Choice(
                parts=(TextPart(text=text),) if text else (),
                finish=Finish(reason="stop" if output is not None else "unknown", native=status),
            ),
        ),
        usage=_usage(value.get("metrics")),
        extra={NAME: left} if left else {},
    )


def _created(value: Any) -> int | None:
    try:
        return int(datetime.fromisoformat(value).timestamp())
    except (TypeError, ValueError):
        return None


def _usage(metrics: Any) -> Usage | None:
    """Only some models count tokens; the others are paid for by the second."""
    held = metrics if isinstance(metrics, dict) else {}
    counts = [held.get(key) for key in ("input_token_count", "output_token_count")]
    known = [count if type(count) is int else 0 for count in counts]
    return Usage(input_tokens=known[0], output_tokens=known[1]) if any(known) else None


# --------------------------------------------------------------------------------------------------------------- stream
class ReplicateStreamDecoder:
    """See `dialects.base.StreamDecoder`. Events: `output` with a piece of text, `error`, and `done`, which ends it."""

    def __init__(self) -> None:
        self._frames = SSEDecoder()
        self._over = False
        self._started = False
        self._text = False

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if self._over:
            return events
        try:
            for frame in self._frames.feed(chunk):
                self._frame(frame, events)
        except SSETooLargeError as problem:
            self._fail(events, StreamError(message=str(problem), broken=True))
        return events

    def close(self) -> list[Event]:
        events: list[Event] = []
        if self._over:
            return events
        for frame in self._frames.flush():
            if frame.event == "done":  # what else is cut off may lack its end
                self._frame(frame, events)
        if not self._over:
            self._fail(events, StreamError(message="the stream ended before the answer was complete", broken=True))
        return events

    def _frame(self, frame: ServerSentEvent, events: list[Event]) -> None:
        if self._over or frame.event not in ("output", "error", "done"):
            return
        if not self._started:
            self._started = True
            events.append(ResponseStart())
        if frame.event == "output":
            self._piece(frame.data.decode("utf-8", "replace"), events)
        elif frame.event == "error":
            detail = openai_errors.decode_error(502, frame.data)
            self._fail(events, StreamError(message=detail.message, status=502, code=detail.code, error_type=detail.type))
        else:
            self._done(frame.data, events)

    def _piece(self, text: str, events: list[Event]) -> None:
        if not text:
            return
        if not self._text:
            self._text = True
            events.append(PartStart(index=0, part=TextPart(text="")))
        events.append(TextDelta(index=0, text=text))

    def _done(self, data: bytes, events: list[Event]) -> None:
        """Its data is an object that is empty, unless something went wrong."""
        try:
            value = json.decode(data or b"{}")
            reason = value.get("reason")
        except (json.DecodeError, RecursionError, AttributeError):
            self._fail(events, StreamError(message="the stream's end mark was cut off", broken=True))
            return
        if reason:
            self._fail(events, StreamError(message=f"the prediction ended: {reason}", status=502, error_type=str(reason)))
            return
        if self._text:
            events.append(PartEnd(index=0))
        self._over = True
        events.append(ResponseEnd(finishes=(Finish(reason="stop", native="done"),)))

    def _fail(self, events: list[Event], error: StreamError) -> None:
        self._over = True
        events.append(error)
