"""OpenAI's POST /decisions, both halves and the relay: predicates, choices and scores about one input, with probabilities.

The input is a text or the items of a Responses request, which are read and written as in that dialect. Questions are in order
and may have names. Source: https://platform.openai.com/docs/api-reference/decisions and the types of `openai` 3.54.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dragoman.core import json
from dragoman.core.chat import ChatRequest, ChatResponse, Message, Usage, Warning
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.operations import (
    DecisionAnswer,
    DecisionOption,
    DecisionQuestion,
    DecisionRequest,
    DecisionResponse,
    OptionProbability,
)
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.chat_decisions import Carried, judged
from dragoman.dialects.decisions_wire import (
    MOST_CHOICES,
    MOST_LEVELS,
    MOST_QUESTIONS,
    check_count,
    check_unique,
    matched,
    probability,
    text_of,
)
from dragoman.dialects.media_wire import left_over, number_or_none, read_answer, text_or_none
from dragoman.dialects.openai_chat.reader import Fields, mismatch
from dragoman.dialects.openai_responses import DIALECT as RESPONSES
from dragoman.dialects.openai_responses.usage import decode_usage, encode_usage
from dragoman.dialects.operation_wire import Body, WholeAnswers, extra_of, no_more, read_fields, taken

NAME = "openai_decisions"
KINDS = ("predicate", "choice", "score")
_KNOWN = frozenset({"answers", "model", "usage", "id", "calibrated"})


class OpenAIDecisions(Carried, WholeAnswers):
    """See `dialects.base.Dialect`; there is no stream."""

    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/decisions"

    def encode_request(self, request: DecisionRequest) -> EncodedRequest:
        own, lost = taken(request.extra, (NAME,))
        given, unsaid = _write_input(request)
        questions = [_write_question(question, f"questions[{n}]") for n, question in enumerate(request.questions)]
        body: Body = {"model": request.model, "input": given, "questions": [written for written, _ in questions]}
        changed = tuple(warning for _, warnings in questions for warning in warnings)
        return EncodedRequest(body | own, unsaid + changed + lost)

    def decode_response(self, body: bytes) -> DecisionResponse:
        """Raises ResponseDecodeError naming the path, or what an error inside a 200 stands for."""
        value = read_answer(body)
        answers = value.get("answers")
        if not isinstance(answers, list):
            raise ResponseDecodeError("the answer is no object with an array `answers`")
        return DecisionResponse(
            model=text_or_none(value.get("model")) or "",
            answers=tuple(_read_answer(item, f"answers[{n}]") for n, item in enumerate(answers)),
            usage=decode_usage(value.get("usage")),
            calibrated=value.get("calibrated") is not False,
            id=text_or_none(value.get("id")),
            extra=left_over(value, _KNOWN, NAME),
        )

    def decode_request(self, body: bytes) -> DecisionRequest:
        """Raises BadRequestError that names the path, what was found and what is expected there."""
        fields = read_fields(body)
        model = fields.need_text("model")
        state, messages = _read_input(fields.any("input"))
        questions = fields.items("questions") or []
        check_count("questions", len(questions), 1, MOST_QUESTIONS)
        read = tuple(_read_question(item, f"questions[{n}]") for n, item in enumerate(questions))
        return DecisionRequest(model=model, questions=read, state=state, messages=messages, extra=extra_of(NAME, fields.rest()))

    def encode_response(self, response: DecisionResponse, *, now: int) -> bytes:  # noqa: ARG002 - answers here need no time
        """For who has no request at hand; `encode_answer` names and orders the answers as they were asked for."""
        answers = [_write_answer(answer) for answer in response.answers]
        body: Body = {"model": response.model, "answers": answers, "usage": encode_usage(response.usage or Usage())}
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
            return decode_usage(read_answer(body).get("usage"))
        except ResponseDecodeError:
            return None


DIALECT = OpenAIDecisions()


# ------------------------------------------------------------------------------------------------------------------ input
def _read_input(value: Any) -> tuple[str | None, tuple[Message, ...]]:
    if isinstance(value, str):
        return value, ()
    if not isinstance(value, list) or not value:
        mismatch("input", "a text or an array of messages and calls that is not empty", value)
    return None, RESPONSES.decode_request(json.encode({"model": "", "input": value})).messages


def _write_input(request: DecisionRequest) -> tuple[Any, tuple[Warning, ...]]:
    if not request.messages:
        if isinstance(request.state, str):
            return request.state, ()
        return [{"role": "user", "content": _write_content(request.state)}], ()
    encoded = RESPONSES.encode_request(ChatRequest(model="", messages=request.messages))
    assert isinstance(encoded.body, dict)  # noqa: S101 - for the type checker: that dialect writes JSON
    items = encoded.body["input"] if isinstance(encoded.body["input"], list) else [_message("user", encoded.body["input"])]
    told = encoded.body.get("instructions")
    return ([_message("developer", told)] if told else []) + items, encoded.warnings


def _message(role: str, content: str) -> Body:
    return {"role": role, "content": content}


def _write_content(value: Any) -> Any:
    """A text or parts as they are, objects as a part of their own, anything else as JSON text."""
    if isinstance(value, str) or _are_parts(value):
        return value
    objects = value if isinstance(value, list) else [value]
    if objects and all(isinstance(item, dict) for item in objects):
        return [{"type": "input_json", "data": value}]
    return text_of(value)


def _are_parts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and str(item.get("type", "")).startswith("input_") for item in value)
    )


# -------------------------------------------------------------------------------------------------------------- questions
def _read_question(value: Any, path: str) -> DecisionQuestion:
    fields = Fields(value, path)
    kind = fields.word("type", KINDS)
    instructions = fields.any("instructions")
    if not isinstance(instructions, str) and not _are_parts(instructions):
        mismatch(fields.at("instructions"), "a text or an array of input_text, input_image and input_json parts", instructions)
    options = _OPTIONS[kind](fields)
    name = fields.text("name")
    return DecisionQuestion(
        kind=kind,  # type: ignore[arg-type]  # `word` has checked it
        instructions=instructions,
        name=name,
        options=options,
        extra=extra_of(NAME, fields.rest()),
    )


def _read_choices(fields: Fields) -> tuple[DecisionOption, ...]:
    path = fields.at("choices")
    given = fields.items("choices") or []
    check_count(path, len(given), 2, MOST_CHOICES)
    options = tuple(_read_choice(item, f"{path}[{n}]") for n, item in enumerate(given))
    check_unique(options, path)
    return options


def _read_choice(value: Any, path: str) -> DecisionOption:
    fields = Fields(value, path)
    chosen = fields.any("value")
    if not isinstance(chosen, str | bool):
        mismatch(fields.at("value"), "a string or a boolean", chosen)
    option = DecisionOption(value=chosen, description=fields.text("description"))
    no_more(fields)
    return option


def _read_levels(fields: Fields) -> tuple[DecisionOption, ...]:
    path = fields.at("levels")
    given = fields.items("levels") or []
    check_count(path, len(given), 2, MOST_LEVELS)
    return tuple(_read_level(item, f"{path}[{n}]") for n, item in enumerate(given))


def _read_level(value: Any, path: str) -> DecisionOption:
    fields = Fields(value, path)
    level = DecisionOption(value=fields.need_text("label"), description=fields.text("description"))
    no_more(fields)
    return level


_OPTIONS: dict[str, Callable[[Fields], tuple[DecisionOption, ...]]] = {
    "predicate": lambda _: (),
    "choice": _read_choices,
    "score": _read_levels,
}


def _write_question(question: DecisionQuestion, path: str) -> tuple[Body, tuple[Warning, ...]]:
    instructions = _write_content(question.instructions)
    changed: tuple[Warning, ...] = ()
    if question.when_true is not None or question.when_false is not None:
        instructions, changed = _with_criteria(question, instructions, path)
    body: Body = {"type": question.kind, "instructions": instructions}
    if question.name is not None:
        body["name"] = question.name
    if question.kind == "choice":
        body["choices"] = [_write_option(option, "value") for option in question.options]
    elif question.kind == "score":
        body["levels"] = [_write_option(option, "label") for option in question.options]
    own, lost = taken(question.extra, (NAME,))
    return body | own, changed + lost


def _with_criteria(question: DecisionQuestion, instructions: Any, path: str) -> tuple[Any, tuple[Warning, ...]]:
    """A predicate's outcomes have no field here and are told in words."""
    outcomes = (("true", question.when_true), ("false", question.when_false))
    told = "\n".join(f"It is {word} when: {text_of(when)}" for word, when in outcomes if when is not None)
    warning = Warning(field=f"{path}.criteria", message="told in the instructions: there is no such field here", code="changed")
    if isinstance(instructions, str):
        return f"{instructions}\n{told}", (warning,)
    return [*instructions, {"type": "input_text", "text": told}], (warning,)


def _write_option(option: DecisionOption, key: str) -> Body:
    described = {} if option.description is None else {"description": text_of(option.description)}
    return {key: option.value, **described}


# ---------------------------------------------------------------------------------------------------------------- answers
def _read_answer(item: Any, path: str) -> DecisionAnswer:
    kind = item.get("type") if isinstance(item, dict) else None
    if kind not in (*KINDS, "refusal"):
        raise ResponseDecodeError(f"{path} is no answer: its type is {json.encode(kind).decode()[:60]}")
    name = text_or_none(item.get("name"))
    if kind == "refusal":
        return DecisionAnswer(kind=kind, name=name)
    if kind == "predicate":
        return DecisionAnswer(kind=kind, name=name, probability=probability(item.get("probability"), f"{path}.probability"))
    return DecisionAnswer(
        kind=kind,
        name=name,
        choice=_value(item.get("choice"), f"{path}.choice") if kind == "choice" else None,
        score=_score(item.get("score"), path) if kind == "score" else None,
        confidence=probability(item.get("confidence"), f"{path}.confidence"),
        probabilities=_read_probabilities(item.get("probabilities"), path),
    )


def _value(value: Any, path: str) -> str | bool:
    if not isinstance(value, str | bool):
        raise ResponseDecodeError(f"{path}: expected a string or a boolean, found {json.kind(value)}")
    return value


def _score(value: Any, path: str) -> float:
    score = number_or_none(value)
    if score is None:
        raise ResponseDecodeError(f"{path}.score: expected a number, found {json.kind(value)}")
    return score


def _read_probabilities(items: Any, path: str) -> tuple[OptionProbability, ...]:
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ResponseDecodeError(f"{path}.probabilities: expected an array of objects, found {json.kind(items)}")
    return tuple(
        OptionProbability(
            value=item.get("value", ""),
            probability=probability(item.get("probability"), f"{path}.probabilities[{n}].probability"),
            label=text_or_none(item.get("label")),
        )
        for n, item in enumerate(items)
    )


def _write_answer(answer: DecisionAnswer) -> Body:
    body: Body = {"type": answer.kind, "name": answer.name}
    if answer.kind == "predicate":
        body["probability"] = answer.probability
    elif answer.kind != "refusal":
        body[answer.kind] = answer.choice if answer.kind == "choice" else answer.score
        body["confidence"] = answer.confidence
        body["probabilities"] = [_write_probability(item) for item in answer.probabilities]
    return body


def _write_probability(item: OptionProbability) -> Body:
    label = {} if item.label is None else {"label": item.label}
    return {"value": item.value, **label, "probability": item.probability}
