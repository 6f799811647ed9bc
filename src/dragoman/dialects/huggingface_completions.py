"""Text generation by a single model at Hugging Face, the Inference API's and TGI's own form of it. The upstream half.

Also models that translate and summarise, which answer alike under another name. Only TGI streams, and only it tells why an
answer ended. https://huggingface.co/docs/inference-providers/tasks/text-generation
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import ChatRequest, ChatResponse, Choice, Finish, TextPart, Usage
from dragoman.core.errors import ErrorDetail, ResponseDecodeError, error_for
from dragoman.core.events import Event, PartEnd, PartStart, ResponseEnd, ResponseStart, StreamError, TextDelta, UsageReport
from dragoman.core.sse import SSEDecoder, SSETooLargeError
from dragoman.dialects import openai_errors
from dragoman.dialects.base import EncodedRequest, StreamDecoder, UpstreamDialect
from dragoman.dialects.losses import UNCOMMON, Losses, taken
from dragoman.dialects.media_wire import in_path
from dragoman.dialects.openai_chat.wire import UNREADABLE, finish
from dragoman.dialects.prompting import one_prompt
from dragoman.dialects.read_values import integer_or_none, need_text, text_of

NAME = "huggingface_completions"
WHO = "Hugging Face's text generation"
Body = dict[str, Any]

_PARAMETERS = {
    "max_tokens": "max_new_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "seed": "seed",
    "frequency_penalty": "frequency_penalty",
}
_NATIVE = frozenset(
    """
    do_sample repetition_penalty return_full_text truncate typical_p watermark best_of details decoder_input_details
    adapter_id grammar top_n_tokens
    """.split()
)
"""Parameters that nobody else has, or that mean the same everywhere: taken from a client of whatever dialect."""

_UNSAYABLE = (
    *(rule for rule in UNCOMMON if rule[0] not in _PARAMETERS),
    ("tools", ((),)),
    ("tool_choice", (None,)),
    ("response_format", (None,)),
    ("reasoning", (None,)),
)
_TEXTS = ("generated_text", "summary_text", "translation_text")
_SHOWN = 200


class HuggingFaceCompletions:
    name = NAME

    def path(self, model: str, *, stream: bool) -> str:  # noqa: ARG002 - the same path, streamed or not
        return f"/models/{in_path(model)}"

    def headers(self) -> tuple[tuple[str, str], ...]:
        return ()

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        """Raises UnsupportedParamsError for several prompts, and for token ids."""
        losses = Losses(NAME, WHO)
        losses.unsayable(request, _UNSAYABLE)
        losses.foreign(request.extra, "", _NATIVE | {"echo", "options"})
        said = {name: getattr(request, field) for field, name in _PARAMETERS.items()}
        parameters = {name: value for name, value in said.items() if value is not None}
        if request.stop:
            parameters["stop"] = list(request.stop)
        native = taken(request.extra, NAME, _NATIVE | {"echo", "options"})
        options, whole = native.pop("options", None), bool(native.pop("echo", None))
        body: Body = {"inputs": one_prompt(request, losses, WHO)}
        body["parameters"] = {"return_full_text": whole} | parameters | native
        body |= {"stream": True} if request.stream else {}
        return EncodedRequest(body | ({"options": options} if options else {}), tuple(losses.warnings))

    def decode_response(self, body: bytes) -> ChatResponse:
        """A list with an answer for each prompt, or one answer. Raises what an error inside a 200 stands for."""
        try:
            value = json.decode(body)
            if isinstance(value, dict) and value.get("error"):
                status = openai_errors.embedded_status(value)
                raise error_for(status, openai_errors.read_error(status, value))
            answers = value if isinstance(value, list) else [value]
            return ChatResponse(
                id="",
                model="",
                choices=tuple(_choice(answer, place) for place, answer in enumerate(answers)),
                usage=_usage(answers[0].get("details")),
            )
        except (*UNREADABLE, AttributeError, IndexError, TypeError) as problem:
            shown = body[:_SHOWN].decode("utf-8", "replace")
            raise ResponseDecodeError(f"the answer holds no {' or '.join(_TEXTS)}: {problem}", body=shown) from None

    def stream_decoder(self) -> StreamDecoder:
        return _Decoder()

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        return openai_errors.decode_error(status, body)


class _Decoder:
    """TGI sends a token an event; the last one repeats the whole text, and tells how it ended where details are asked for."""

    def __init__(self) -> None:
        self._frames = SSEDecoder()
        self._begun = False
        self._open = False
        self._over = False

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        try:
            for frame in self._frames.feed(chunk):
                self._frame(frame.data, events)
        except SSETooLargeError as problem:
            self._break(str(problem), events)
        return events

    def close(self) -> list[Event]:
        events: list[Event] = []
        for frame in self._frames.flush():
            self._frame(frame.data, events)
        if not self._over:
            self._break("the stream ended before the answer was complete", events)
        return events

    def _frame(self, data: bytes, events: list[Event]) -> None:
        if self._over:
            return
        try:
            self._token(json.decode(data), events)
        except (*UNREADABLE, AttributeError, KeyError, TypeError) as problem:
            shown = data[:_SHOWN].decode("utf-8", "replace")
            self._break(f"an event of the stream is no token ({problem!r}): {shown}", events)

    def _break(self, message: str, events: list[Event]) -> None:
        self._over = True
        events.append(StreamError(message=message, broken=True))

    def _token(self, value: Body, events: list[Event]) -> None:
        if value.get("error"):
            self._over = True
            events.append(openai_errors.stream_error(value))
            return
        if not self._begun:
            self._begun = True
            events.append(ResponseStart())
        token = value["token"]
        if (text := text_of(token.get("text"))) and not token.get("special"):
            if not self._open:
                self._open = True
                events.append(PartStart(index=0, part=TextPart(text="")))
            events.append(TextDelta(index=0, text=text))
        if value.get("generated_text") is not None:
            self._end({"finish_reason": "eos_token"} if token.get("special") else {}, value.get("details") or {}, events)

    def _end(self, seen: Body, told: Body, events: list[Event]) -> None:
        details = seen | told
        self._over = True
        if self._open:
            events.append(PartEnd(index=0))
        if (usage := _usage(details)) is not None:
            events.append(UsageReport(usage=usage))
        events.append(ResponseEnd(finishes=(_finish(details),)))


DIALECT: UpstreamDialect = HuggingFaceCompletions()


def _choice(answer: Body, place: int) -> Choice:
    text = need_text(next((answer[name] for name in _TEXTS if name in answer), None))
    return Choice(index=place, parts=(TextPart(text=text),) if text else (), finish=_finish(answer.get("details")))


def _finish(details: Any) -> Finish:
    return finish(details.get("finish_reason") if isinstance(details, dict) else None, has_tool_calls=False)


def _usage(details: Any) -> Usage | None:
    """TGI counts what it was given as `input_length` in streams, as a list of `prefill` tokens where that is asked for."""
    held = details if isinstance(details, dict) else {}
    prefill = held.get("prefill")
    given = len(prefill) if isinstance(prefill, list) and prefill else integer_or_none(held.get("input_length"))
    made = integer_or_none(held.get("generated_tokens"))
    return None if given is None or made is None else Usage(input_tokens=given, output_tokens=made)
