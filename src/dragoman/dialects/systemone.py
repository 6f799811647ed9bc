"""System One (POST /v1/systemone), both halves and the relay: named questions about a state, as Typesafe's Jev answers them.

The state is a text or any JSON; a conversation is sent as its messages in OpenAI's shape. GPTRouter's API says the same in
other words (a state that names its kind, `options` and `levels`), which `read_prompt` reads.
Sources: https://docs.fireworks.ai/api-reference/post-systemone, https://docs.ollama.com/api/systemone
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dragoman.core import json
from dragoman.core.chat import ChatRequest, ChatResponse, Message, Usage, Warning
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.operations import DecisionQuestion, DecisionRequest, DecisionResponse
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.chat_decisions import Carried, judged
from dragoman.dialects.decisions_wire import MOST_QUESTIONS, check_count, keys, matched
from dragoman.dialects.media_wire import left_over, read_answer, text_or_none
from dragoman.dialects.openai_chat import DIALECT as CHAT
from dragoman.dialects.openai_chat.reader import Fields, mismatch, refuse
from dragoman.dialects.openai_responses import DIALECT as RESPONSES
from dragoman.dialects.operation_wire import Body, WholeAnswers, extra_of, no_more, read_fields, read_usage, taken
from dragoman.dialects.systemone_questions import read_answers, read_question, write_answers, write_question

NAME = "systemone"
_KNOWN = frozenset({"model", "answers", "usage", "id", "calibrated"})


class SystemOne(Carried, WholeAnswers):
    """See `dialects.base.Dialect`; there is no stream."""

    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/systemone"

    def encode_request(self, request: DecisionRequest) -> EncodedRequest:
        own, lost = taken(request.extra, (NAME,))
        state, unsaid = _write_state(request)
        names = keys(request.questions)
        questions = {name: write_question(question) for name, question in zip(names, request.questions, strict=True)}
        body: Body = {"model": request.model, "state": state, "questions": questions}
        return EncodedRequest(body | own, unsaid + _foreign(request.questions) + lost)

    def decode_response(self, body: bytes) -> DecisionResponse:
        """Raises ResponseDecodeError naming the path, or what an error inside a 200 stands for."""
        value = read_answer(body)
        answers = value.get("answers")
        if not isinstance(answers, dict):
            raise ResponseDecodeError("the answer is no object with an object `answers`")
        return DecisionResponse(
            model=text_or_none(value.get("model")) or "",
            answers=read_answers(answers),
            usage=read_usage(value.get("usage"), NAME),
            calibrated=value.get("calibrated") is not False,
            id=text_or_none(value.get("id")),
            extra=left_over(value, _KNOWN, NAME),
        )

    def decode_request(self, body: bytes) -> DecisionRequest:
        """Raises BadRequestError that names the path, what was found and what is expected there."""
        fields = read_fields(body)
        model, state = fields.need_text("model"), fields.any("state")
        if state is None:
            mismatch("state", "a text or JSON", None)
        questions = _read_questions(fields)
        return DecisionRequest(model=model, questions=questions, state=state, extra=extra_of(NAME, fields.rest()))

    def encode_response(self, response: DecisionResponse, *, now: int) -> bytes:  # noqa: ARG002 - answers here need no time
        """For who has no request at hand; `encode_answer` gives every answer its name."""
        usage = response.usage or Usage()
        body: Body = {"model": response.model, "answers": write_answers(response.answers)}
        body["usage"] = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens} | usage.extra.get(NAME, {})
        if response.id is not None:
            body["id"] = response.id
        if not response.calibrated:
            body["calibrated"] = False
        return json.encode(body | response.extra.get(NAME, {}))

    def encode_answer(
        self, response: DecisionResponse | ChatResponse, request: DecisionRequest, *, now: int
    ) -> tuple[bytes, str]:
        """The body and its media type. Raises ResponseDecodeError for an answer of another kind than was asked for."""
        return self.encode_response(matched(judged(response, request), request), now=now), "application/json"

    def read_usage(self, body: bytes) -> Usage | None:
        try:
            return read_usage(read_answer(body).get("usage"), NAME)
        except ResponseDecodeError:
            return None


DIALECT = SystemOne()


def read_prompt(params: Any, model: str, path: str) -> DecisionRequest:
    """A request out of GPTRouter's `promptParams`: {state: {kind, ...}, questions}. Raises BadRequestError under `path`."""
    fields = Fields(params, path)
    state, messages = _read_kind(fields.inner("state"))
    questions = _read_questions(fields)
    no_more(fields)
    return DecisionRequest(model=model, questions=questions, state=state, messages=messages)


def _read_questions(fields: Fields) -> tuple[DecisionQuestion, ...]:
    path = fields.at("questions")
    given = fields.mapping("questions") or {}
    check_count(path, len(given), 1, MOST_QUESTIONS)
    return tuple(read_question(value, name, f"{path}.{name}") for name, value in given.items())


# ------------------------------------------------------------------------------------------------------------------ state
def _read_text(fields: Fields) -> tuple[Any, tuple[Message, ...]]:
    return fields.need_text("text"), ()


def _read_json(fields: Fields) -> tuple[Any, tuple[Message, ...]]:
    value = fields.any("value")
    if not isinstance(value, dict | list):
        mismatch(fields.at("value"), "an object or an array", value)
    return value, ()


def _read_messages(fields: Fields) -> tuple[Any, tuple[Message, ...]]:
    """In the words of a Responses request, whose items they are."""
    given = fields.items("messages")
    if not given:
        refuse(fields.at("messages"), "expected an array of messages that is not empty")
    return None, RESPONSES.decode_request(json.encode({"model": "", "input": given})).messages


_KINDS: dict[str, Callable[[Fields], tuple[Any, tuple[Message, ...]]]] = {
    "text": _read_text,
    "json": _read_json,
    "messages": _read_messages,
}


def _read_kind(fields: Fields) -> tuple[Any, tuple[Message, ...]]:
    read = _KINDS[fields.word("kind", tuple(_KINDS))](fields)
    no_more(fields)
    return read


def _write_state(request: DecisionRequest) -> tuple[Any, tuple[Warning, ...]]:
    if not request.messages:
        return request.state, ()
    encoded = CHAT.encode_request(ChatRequest(model="", messages=request.messages))
    assert isinstance(encoded.body, dict)  # noqa: S101 - for the type checker: that dialect writes JSON
    return encoded.body["messages"], encoded.warnings


def _foreign(questions: tuple[DecisionQuestion, ...]) -> tuple[Warning, ...]:
    found = (taken(question.extra, (NAME,))[1] for question in questions)
    return tuple(warning for warnings in found for warning in warnings)
