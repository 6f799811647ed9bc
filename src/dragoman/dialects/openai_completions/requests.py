"""Requests, read from a program and written for a provider, and what becomes of one where nobody but a chat model can answer.

Kinds and names are checked strictly; values are for the provider to judge. Parameters without a word of ours ride along.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import ChatRequest, Message, TextPart, Warning
from dragoman.core.errors import ErrorDetail, UnsupportedParamsError
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.losses import Losses, Rule, own
from dragoman.dialects.openai_chat.reader import Fields, mismatch, refuse
from dragoman.dialects.openai_chat.wire import UNREADABLE, said
from dragoman.dialects.openai_completions.words import NAME, PLAIN, WHO, Body, extra
from dragoman.dialects.prompting import written_prompt

_PROMPT = "a string, an array of strings, an array of token ids or an array of such arrays"
_UNSAYABLE: tuple[Rule, ...] = (
    ("tools", ((),)),
    ("tool_choice", (None,)),
    ("parallel_tool_calls", (None, True)),
    ("response_format", (None,)),
    ("reasoning", (None,)),
    ("metadata", (None, {})),
    ("service_tier", (None, "auto", "default")),
)


# ---------------------------------------------------------------------------------------------------------------- reading
def decode_request(body: bytes) -> ChatRequest:
    """A program's request. Raises BadRequestError that names the path, what was found and what is expected there."""
    try:
        value = json.decode(body)
    except UNREADABLE as error:
        refuse("", f"the request body is no JSON: {error}")
    if type(value) is not dict:
        refuse("", f"the request body: expected an object, found {json.kind(value)}")
    fields = Fields(value, "")
    model, prompt = fields.need_text("model"), _prompt(fields.any("prompt"))
    chances = fields.integer("logprobs")
    known: dict[str, Any] = {
        "temperature": fields.number("temperature"),
        "top_p": fields.number("top_p"),
        "frequency_penalty": fields.number("frequency_penalty"),
        "presence_penalty": fields.number("presence_penalty"),
        "logit_bias": fields.mapping("logit_bias"),
        "user": fields.text("user"),
        "stop": _stop(fields),
        **{key: fields.integer(key) for key in ("n", "seed", "max_tokens", "top_k")},
        **_stream(fields),
    }
    if chances is not None:
        known |= {"logprobs": True, "top_logprobs": chances}
    messages, kept = prompt
    return ChatRequest(model=model, messages=messages, extra=extra(kept | said(fields.rest())), **known)


def _prompt(value: Any) -> tuple[tuple[Message, ...], Body]:
    """The message that says it, and what is kept because a message cannot."""
    if value is None:
        return (), {}
    if type(value) is str:
        return _messages(value), {}
    if type(value) is not list or not value:
        mismatch("prompt", _PROMPT, value)
    kinds = {type(item) for item in value}
    if kinds == {str}:
        return (_messages(value[0]), {"_prompt": value}) if len(value) == 1 else ((), {"prompt": value})
    if kinds not in ({int}, {list}):
        refuse("prompt", f"expected {_PROMPT}, found an array of {' and '.join(sorted(json.kind(item) for item in value[:3]))}")
    return (), {"prompt": value}


def _messages(text: str) -> tuple[Message, ...]:
    return (Message(role="user", parts=(TextPart(text=text),)),)


def _stop(fields: Fields) -> tuple[str, ...]:
    if type(fields.peek("stop")) is str:
        return (fields.need_text("stop"),)
    items = fields.items("stop") or []
    for index, item in enumerate(items):
        if type(item) is not str:
            mismatch(f"stop[{index}]", "a string", item)
    return tuple(items)


def _stream(fields: Fields) -> dict[str, Any]:
    found: dict[str, Any] = {"stream": fields.flag("stream") or False}
    if fields.peek("stream_options") is not None:
        options = fields.inner("stream_options")
        found["include_usage"] = options.flag("include_usage")
        if options.rest():
            fields.rest()["stream_options"] = options.rest()
    return found


def as_chat(request: ChatRequest) -> tuple[ChatRequest, tuple[Warning, ...]]:
    """A text completion for a chat model: an answer to the prompt is not a continuation of it, and that is said.

    Raises UnsupportedParamsError for what would be answered wrongly: several prompts, token lists, a text to fill in.
    """
    kept = request.extra.get(NAME, {})
    for field, problem in _NO_CHAT.items():
        if field in kept:
            message = f"{field}: {problem}; ask a model of a provider that offers text completions"
            raise UnsupportedParamsError(message, detail=ErrorDetail(message=message, param=field), attempts=0)
    if not request.messages:
        message = "prompt: missing; a chat model needs something to answer"
        raise UnsupportedParamsError(message, detail=ErrorDetail(message=message, param="prompt"), attempts=0)
    note = "this provider has chat models only: the prompt was sent as a user's message, to which the text is an answer"
    return request, (Warning(field="prompt", message=note, code="emulated"),)


_NO_CHAT = {
    "prompt": "a chat model takes one prompt of text, no several of them and no token ids",
    "suffix": "a chat model cannot fill in a text before a suffix",
}


# ---------------------------------------------------------------------------------------------------------------- writing
def encode_request(request: ChatRequest) -> EncodedRequest:
    """The body for a provider. A conversation is flattened into a prompt, with a Warning."""
    losses = Losses(NAME, WHO)
    losses.unsayable(request, _UNSAYABLE)
    losses.foreign(request.extra, "")
    body: Body = {"model": request.model} | _written_prompt(request, losses)
    body |= {name: value for name in PLAIN if (value := getattr(request, name)) is not None}
    if request.logprobs:
        body["logprobs"] = request.top_logprobs or 0
    if request.stop:
        body["stop"] = list(request.stop)
    if request.stream:
        body["stream"] = True
    beyond = own(request.extra, NAME)
    options = dict(beyond.pop("stream_options", None) or {})
    if request.include_usage is not None:
        options["include_usage"] = request.include_usage
    return EncodedRequest(body | ({"stream_options": options} if options else {}) | beyond, tuple(losses.warnings))


def _written_prompt(request: ChatRequest, losses: Losses) -> Body:
    kept = request.extra.get(NAME, {})
    if "_prompt" in kept or not request.messages:
        return {"prompt": kept["_prompt"]} if "_prompt" in kept else {}
    return {"prompt": written_prompt(request, losses)}
