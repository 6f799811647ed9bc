"""The questions and answers of System One, read and written: what `systemone` puts into requests and finds in answers.

`criteria` is what an answer may be: outcomes of a predicate, which is called `noul` there; labels of a choice; levels of a
score from low to high. GPTRouter's clients say `options` and `levels` instead and are read as well. Levels count from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dragoman.core import json
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.operations import DecisionAnswer, DecisionOption, DecisionQuestion, OptionProbability, QuestionKind
from dragoman.dialects.decisions_wire import MOST_CHOICES, MOST_LEVELS, check_count, check_unique, probability, text_of
from dragoman.dialects.media_wire import number_or_none, text_or_none
from dragoman.dialects.openai_chat.reader import Fields, mismatch, refuse
from dragoman.dialects.operation_wire import Body, extra_of, no_more

NAME = "systemone"
_KIND: dict[str, QuestionKind] = {"noul": "predicate", "choice": "choice", "score": "score"}
_WORD = {ours: theirs for theirs, ours in _KIND.items()} | {"refusal": "refusal"}
Options = tuple[DecisionOption, ...]


# -------------------------------------------------------------------------------------------------------------- questions
def read_question(value: Any, name: str, path: str) -> DecisionQuestion:
    """Raises BadRequestError that names the path."""
    fields = Fields(value, path)
    kind = _KIND[fields.word("type", tuple(_KIND))]
    instructions = fields.any("instructions")
    if not isinstance(instructions, str | dict | list):
        mismatch(fields.at("instructions"), "a text, an object or an array", instructions)
    outcomes = _read_outcomes(fields) if kind == "predicate" else {}
    options = _READ_OPTIONS[kind](fields)
    return DecisionQuestion(
        kind=kind, instructions=instructions, name=name, options=options, **outcomes, extra=extra_of(NAME, fields.rest())
    )


def _read_outcomes(fields: Fields) -> Body:
    if fields.peek("criteria") is None:
        return {}
    criteria = fields.inner("criteria")
    found = {"when_true": criteria.any("true"), "when_false": criteria.any("false")}
    no_more(criteria)
    return found


def _read_choices(fields: Fields) -> Options:
    path = fields.at("options" if fields.peek("options") is not None else "criteria")
    labels, given = fields.mapping("criteria"), fields.items("options")
    if labels is not None:
        options = [DecisionOption(value=label, description=told) for label, told in labels.items()]
    else:
        options = [_read_option(item, f"{path}[{n}]", "value") for n, item in enumerate(given or [])]
    check_count(path, len(options), 1, MOST_CHOICES)
    if (fields.text("valueType") or "string") == "boolean":
        options = [_as_boolean(option, f"{path}[{n}]") for n, option in enumerate(options)]
    check_unique(options, path)
    return tuple(options)


def _as_boolean(option: DecisionOption, path: str) -> DecisionOption:
    words: dict[Any, bool] = {"true": True, "false": False, True: True, False: False}
    if option.value not in words:
        refuse(path, f'expected "true" or "false", as valueType is boolean, found {text_of(option.value)[:60]!r}')
    return DecisionOption(value=words[option.value], description=option.description)


def _read_levels(fields: Fields) -> Options:
    path = fields.at("levels" if fields.peek("levels") is not None else "criteria")
    given = fields.items("criteria") or fields.items("levels") or []
    check_count(path, len(given), 2, MOST_LEVELS)
    return tuple(_read_option(item, f"{path}[{n}]", "label") for n, item in enumerate(given))


def _read_option(item: Any, path: str, key: str) -> DecisionOption:
    if isinstance(item, str):
        return DecisionOption(value=item)
    fields = Fields(item, path)
    value = fields.any(key)
    if not isinstance(value, str | bool):
        mismatch(fields.at(key), "a string", value)
    option = DecisionOption(value=value, description=fields.any("description"))
    no_more(fields)
    return option


_READ_OPTIONS: dict[str, Callable[[Fields], Options]] = {
    "predicate": lambda _: (),
    "choice": _read_choices,
    "score": _read_levels,
}


def write_question(question: DecisionQuestion) -> Body:
    body: Body = {"type": _WORD[question.kind], "instructions": question.instructions}
    if question.kind == "choice":
        body["criteria"] = {text_of(option.value): option.description for option in question.options}
    elif question.kind == "score":
        body["criteria"] = [_write_level(option) for option in question.options]
    elif question.when_true is not None or question.when_false is not None:
        outcomes = {"true": question.when_true, "false": question.when_false}
        body["criteria"] = {outcome: told for outcome, told in outcomes.items() if told is not None}
    return body | question.extra.get(NAME, {})


def _write_level(option: DecisionOption) -> Any:
    return option.value if option.description is None else {"label": option.value, "description": option.description}


# ---------------------------------------------------------------------------------------------------------------- answers
def read_answers(given: Body) -> tuple[DecisionAnswer, ...]:
    """Raises ResponseDecodeError that names the path."""
    return tuple(_read_answer(item, name, f"answers.{name}") for name, item in given.items())


def _read_answer(item: Any, name: str, path: str) -> DecisionAnswer:
    word = item.get("type") if isinstance(item, dict) else None
    if word == "refusal":
        return DecisionAnswer(kind="refusal", name=name)
    kind = _KIND.get(word) if isinstance(word, str) else None
    if kind is None:
        raise ResponseDecodeError(f"{path} is no answer: its type is {json.encode(word).decode()[:60]}")
    if kind == "predicate":
        return DecisionAnswer(kind=kind, name=name, probability=probability(item.get("noul"), f"{path}.noul"))
    given = item.get("probabilities")
    if not isinstance(given, dict):
        raise ResponseDecodeError(f"{path}.probabilities: expected an object, found {json.kind(given)}")
    odds = {key: probability(odd, f"{path}.probabilities.{key}") for key, odd in given.items()}
    confidence = probability(item.get("confidence"), f"{path}.confidence")
    read = _read_choice if kind == "choice" else _read_score
    return DecisionAnswer(kind=kind, name=name, confidence=confidence, **read(item, odds, path))


def _read_choice(item: Body, odds: dict[str, float], path: str) -> Body:
    choice = item.get("choice")
    if not isinstance(choice, str | bool):
        raise ResponseDecodeError(f"{path}.choice: expected a string, found {json.kind(choice)}")
    probabilities = tuple(OptionProbability(value=value, probability=odd) for value, odd in odds.items())
    return {"choice": choice, "probabilities": probabilities}


def _read_score(item: Body, odds: dict[str, float], path: str) -> Body:
    score, legend = number_or_none(item.get("score")), item.get("legend")
    if score is None or not all(level.isascii() and level.isdigit() for level in odds):
        raise ResponseDecodeError(f"{path}: expected a score, and probabilities by the number of a level")
    labels = legend if isinstance(legend, dict) else {}
    levels = tuple(
        OptionProbability(value=int(level), probability=odd, label=_label(labels.get(level)))
        for level, odd in sorted(odds.items(), key=lambda pair: int(pair[0]))
    )
    return {"score": score, "probabilities": levels}


def _label(told: Any) -> str | None:
    return text_or_none(told.get("label") if isinstance(told, dict) else told)


def write_answers(answers: Iterable[DecisionAnswer], *, labelled: bool = False) -> Body:
    """Name -> answer; one without a name is called by its place. `labelled`: a legend of objects, as GPTRouter has it."""
    return {answer.name or f"q{n + 1}": _write_answer(answer, labelled=labelled) for n, answer in enumerate(answers)}


def _write_answer(answer: DecisionAnswer, *, labelled: bool) -> Body:
    body: Body = {"type": _WORD[answer.kind]}
    if answer.kind == "predicate":
        return body | {"noul": answer.probability}
    if answer.kind == "refusal":
        return body
    if answer.kind == "choice":
        body["choice"] = text_of(answer.choice)
    else:
        labels = {str(item.value): item.label for item in answer.probabilities if item.label is not None}
        legend = {level: {"label": label} for level, label in labels.items()} if labelled else labels
        body |= {"score": answer.score, "legend": legend}
    odds = {text_of(item.value): item.probability for item in answer.probabilities}
    return body | {"probabilities": odds, "confidence": answer.confidence}
