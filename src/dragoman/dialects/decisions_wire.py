"""What the dialects of decisions share: names for questions that have none, readers of options, answers matched to questions.

Our words are `core.operations.DecisionRequest` and its neighbours. A question has a place and may have a name; answers come in
order from some and by name from others, and labels come as text where a client meant a boolean: `matched` sets that right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.operations import (
    DecisionAnswer,
    DecisionOption,
    DecisionQuestion,
    DecisionRequest,
    DecisionResponse,
    OptionProbability,
)
from dragoman.dialects.media_wire import number_or_none
from dragoman.dialects.openai_chat.reader import refuse

MOST_QUESTIONS, MOST_CHOICES, MOST_LEVELS = 400, 255, 10
"""https://platform.openai.com/docs/api-reference/decisions; who takes less says so."""


def text_of(value: Any) -> str:
    """A text, or JSON as text; the value of an option as a label."""
    return value if isinstance(value, str) else json.encode(value).decode()


def keys(questions: Sequence[DecisionQuestion]) -> list[str]:
    """A key for each question: its name, and one of ours where it has none or the same as an earlier one."""
    names = {question.name for question in questions}
    made: list[str] = []
    for place, question in enumerate(questions):
        name = question.name
        if name is None or name in made:
            name = next(key for key in _numbered(place + 1) if key not in names and key not in made)
        made.append(name)
    return made


def _numbered(number: int) -> Iterable[str]:
    yield f"q{number}"
    yield from (f"q{number}_{again}" for again in range(2, MOST_QUESTIONS + 2))


# --------------------------------------------------------------------------------------------------------------- requests
def check_count(path: str, count: int, least: int, most: int) -> None:
    if not least <= count <= most:
        refuse(path, f"expected {least} to {most} of them, found {count}")


def check_unique(options: Sequence[DecisionOption], path: str) -> None:
    """Each option once; a boolean and the text of the same name are two."""
    seen: set[tuple[type, str | bool]] = set()
    for place, option in enumerate(options):
        mark = type(option.value), option.value
        if mark in seen:
            refuse(f"{path}[{place}]", f"{text_of(option.value)[:60]!r} is there already")
        seen.add(mark)


# ---------------------------------------------------------------------------------------------------------------- answers
def probability(value: Any, path: str) -> float:
    number = number_or_none(value)
    if number is None or not 0 <= number <= 1:
        raise ResponseDecodeError(f"{path}: expected a probability from 0 to 1, found {json.encode(value).decode()[:60]}")
    return number


def matched(response: DecisionResponse, request: DecisionRequest) -> DecisionResponse:
    """The answers in the order of the questions, under their names, with the options' own values and the levels' labels.

    A question without an answer counts as refused, as System One leaves out what it cannot answer.
    """
    given = _by_question(response.answers, request.questions)
    pairs = zip(given, request.questions, strict=True)
    return replace(response, answers=tuple(_fitted(answer, question) for answer, question in pairs))


def _by_question(answers: Sequence[DecisionAnswer], questions: Sequence[DecisionQuestion]) -> list[DecisionAnswer | None]:
    """By place where all are there and no name says otherwise, else by name."""
    named = [answer.name for answer in answers]
    if len(answers) == len(questions) and named == [question.name for question in questions]:
        return list(answers)
    held = {answer.name: answer for answer in answers}
    return [held.get(key) for key in keys(questions)]


def _fitted(answer: DecisionAnswer | None, question: DecisionQuestion) -> DecisionAnswer:
    if answer is None or answer.kind == "refusal":
        return DecisionAnswer(kind="refusal", name=question.name)
    if answer.kind != question.kind:
        raise ResponseDecodeError(f"a {question.kind} was asked for and the answer is a {answer.kind}")
    if question.kind == "score":
        levels = tuple(_labelled(item, question.options) for item in answer.probabilities)
        return replace(answer, name=question.name, probabilities=levels)
    meant = {text_of(option.value): option.value for option in reversed(question.options)}
    own = {option.value for option in question.options if isinstance(option.value, bool)}
    options = tuple(replace(item, value=_meant(item.value, meant, own)) for item in answer.probabilities)
    return replace(answer, name=question.name, choice=_meant(answer.choice, meant, own), probabilities=options)


def _meant(value: Any, meant: dict[str, str | bool], own: set[bool]) -> Any:
    """The option that a label stands for; booleans, where they came as such, are themselves."""
    if value is None or (isinstance(value, bool) and value in own):
        return value
    return meant.get(text_of(value), value)


def _labelled(item: OptionProbability, levels: Sequence[DecisionOption]) -> OptionProbability:
    if item.label is not None or not isinstance(item.value, int) or not item.value < len(levels):
        return item
    return replace(item, label=text_of(levels[item.value].value))
