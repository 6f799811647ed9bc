"""Decisions: OpenAI's and System One's shapes there and back, answers matched to questions, and chat models asked instead."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.chat import ChatResponse, Choice, Finish, MediaPart, RefusalPart, TextPart, Usage
from dragoman.core.errors import BadRequestError, ResponseDecodeError
from dragoman.core.operations import (
    DecisionAnswer,
    DecisionOption,
    DecisionQuestion,
    DecisionRequest,
    DecisionResponse,
    OptionProbability,
)
from dragoman.dialects.chat_decisions import as_chat, from_chat
from dragoman.dialects.decisions_wire import keys, matched
from dragoman.dialects.openai_decisions import DIALECT as OPENAI
from dragoman.dialects.systemone import DIALECT as SYSTEM_ONE
from dragoman.dialects.systemone import read_prompt
from dragoman.dialects.systemone_questions import write_answers


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


# ------------------------------------------------------------------------------------------------------------ golden: OpenAI
OPENAI_BODY = {
    "model": "gpt-6-luna",
    "input": [
        {"type": "message", "role": "developer", "content": "be strict"},
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "I was charged twice"},
                {"type": "input_json", "data": {"order": 4411}},
                {"type": "input_image", "image_url": "https://a/b.png"},
            ],
        },
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "two charges"},
    ],
    "questions": [
        {"type": "predicate", "instructions": "Is it a refund request?", "name": "refund"},
        {
            "type": "choice",
            "instructions": [{"type": "input_text", "text": "Which?"}],
            "choices": [{"value": "true"}, {"value": True, "description": "the boolean"}],
        },
        {"type": "score", "instructions": "How angry?", "levels": [{"label": "calm"}, {"label": "angry", "description": "!"}]},
    ],
    "safety_identifier": "u",
}
OPENAI_ANSWER = {
    "model": "gpt-6-luna",
    "answers": [
        {"type": "predicate", "name": "refund", "probability": 0.9},
        {
            "type": "choice",
            "name": None,
            "choice": True,
            "confidence": 0.75,
            "probabilities": [{"value": "true", "probability": 0.25}, {"value": True, "probability": 0.75}],
        },
        {
            "type": "score",
            "name": None,
            "score": 0.25,
            "confidence": 0.75,
            "probabilities": [
                {"value": 0, "label": "calm", "probability": 0.75},
                {"value": 1, "label": "angry", "probability": 0.25},
            ],
        },
        {"type": "refusal", "name": None},
    ],
    "usage": {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 23,
    },
}


def test_an_openai_request_there_and_back() -> None:
    written, warnings, _ = OPENAI.encode_request(OPENAI.decode_request(body(**OPENAI_BODY)))
    assert (written, warnings) == (OPENAI_BODY, ())
    assert OPENAI.path("m") == "/decisions"


def test_an_openai_answer_there_and_back() -> None:
    answer = OPENAI.decode_response(body(**OPENAI_ANSWER))
    assert json.loads(OPENAI.encode_response(answer, now=0)) == OPENAI_ANSWER
    assert answer.usage == OPENAI.read_usage(body(**OPENAI_ANSWER))
    assert (answer.usage.total_tokens, answer.calibrated) == (23, True)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": None}, "model: expected a string, found nothing"),
        ({"input": None}, "input: expected a text or an array of messages and calls that is not empty, found nothing"),
        ({"input": []}, "input: expected a text or an array"),
        ({"input": [{"role": "user", "content": 3}]}, r"input\[0\]"),
        ({"questions": []}, "questions: expected 1 to 400 of them, found 0"),
        ({"questions": "?"}, "questions: expected an array, found string"),
        (
            {"questions": [{"type": "guess", "instructions": "?"}]},
            r"questions\[0\].type: expected one of predicate, choice, sc",
        ),
        ({"questions": [{"type": "predicate"}]}, r"questions\[0\].instructions: expected a text or an array of input_text"),
        (
            {"questions": [{"type": "choice", "instructions": "?", "choices": [{"value": "a"}]}]},
            r"questions\[0\].choices: expected 2 to 255 of them, found 1",
        ),
        (
            {"questions": [{"type": "choice", "instructions": "?", "choices": [{"value": 1}, {"value": "a"}]}]},
            r"questions\[0\].choices\[0\].value: expected a string or a boolean, found integer",
        ),
        (
            {"questions": [{"type": "choice", "instructions": "?", "choices": [{"value": "a"}, {"value": "a"}]}]},
            r"questions\[0\].choices\[1\]: 'a' is there already",
        ),
        (
            {"questions": [{"type": "score", "instructions": "?", "levels": [{"label": "a"}, {"label": "b", "x": 1}]}]},
            r"questions\[0\].levels\[1\].x: this field is not known here",
        ),
    ],
)
def test_bad_openai_requests(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequestError, match=said):
        OPENAI.decode_request(body(**OPENAI_BODY | changed))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"{", "the answer is no JSON"),
        (body(answers={}), "no object with an array `answers`"),
        (body(answers=[3]), r"answers\[0\] is no answer: its type is null"),
        (body(answers=[{"type": "essay"}]), r"answers\[0\] is no answer: its type is \"essay\""),
        (body(answers=[{"type": "predicate", "probability": 1.5}]), r"answers\[0\].probability: expected a probability from 0"),
        (
            body(answers=[{"type": "choice", "choice": 3}]),
            r"answers\[0\].choice: expected a string or a boolean, found integer",
        ),
        (body(answers=[{"type": "score", "score": "x"}]), r"answers\[0\].score: expected a number, found string"),
        (body(answers=[{"type": "score", "score": 1, "confidence": 1}]), r"answers\[0\].probabilities: expected an array"),
    ],
)
def test_openai_answers_that_make_no_sense(answer: bytes, said: str) -> None:
    with pytest.raises(ResponseDecodeError, match=said):
        OPENAI.decode_response(answer)


# -------------------------------------------------------------------------------------------------------- golden: System One
SYSTEM_BODY = {
    "model": "jev-1.13.0",
    "state": {"order": 4411, "text": "I was charged twice"},
    "questions": {
        "refund": {"type": "noul", "instructions": "Is it?", "criteria": {"true": "asks for money", "false": "does not"}},
        "urgency": {"type": "choice", "instructions": {"ask": "How urgent?"}, "criteria": {"low": "can wait", "high": None}},
        "anger": {"type": "score", "instructions": "How?", "criteria": ["calm", {"label": "angry", "description": "!"}]},
    },
    "seed": 7,
}
SYSTEM_ANSWER = {
    "model": "jev-1.13.0",
    "answers": {
        "refund": {"type": "noul", "noul": 0.97},
        "urgency": {"type": "choice", "choice": "low", "probabilities": {"low": 0.9, "high": 0.1}, "confidence": 0.9},
        "anger": {
            "type": "score",
            "score": 0.4,
            "legend": {"0": "calm", "1": "angry"},
            "probabilities": {"0": 0.6, "1": 0.4},
            "confidence": 0.6,
        },
        "other": {"type": "refusal"},
    },
    "usage": {"input_tokens": 30, "output_tokens": 0},
}


def test_a_system_one_request_there_and_back() -> None:
    written, warnings, _ = SYSTEM_ONE.encode_request(SYSTEM_ONE.decode_request(body(**SYSTEM_BODY)))
    assert (written, warnings) == (SYSTEM_BODY, ())
    assert SYSTEM_ONE.path("m") == "/systemone"


def test_a_system_one_answer_there_and_back() -> None:
    answer = SYSTEM_ONE.decode_response(body(**SYSTEM_ANSWER))
    assert json.loads(SYSTEM_ONE.encode_response(answer, now=0)) == SYSTEM_ANSWER
    assert answer.usage == SYSTEM_ONE.read_usage(body(**SYSTEM_ANSWER)) == Usage(input_tokens=30)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"state": None}, "state: expected a text or JSON, found nothing"),
        ({"questions": {}}, "questions: expected 1 to 400 of them, found 0"),
        (
            {"questions": {"a": {"type": "noul"}}},
            "questions.a.instructions: expected a text, an object or an array, found noth",
        ),
        ({"questions": {"a": {"type": "predicate"}}}, "questions.a.type: expected one of noul, choice, score"),
        ({"questions": {"a": {"type": "choice", "instructions": "?"}}}, "questions.a.criteria: expected 1 to 255 of them"),
        (
            {"questions": {"a": {"type": "choice", "instructions": "?", "options": ["a", "a"]}}},
            r"questions.a.options\[1\]: 'a' is there already",
        ),
        (
            {"questions": {"a": {"type": "choice", "instructions": "?", "options": ["a"], "valueType": "boolean"}}},
            r"questions.a.options\[0\]: expected \"true\" or \"false\"",
        ),
        (
            {"questions": {"a": {"type": "score", "instructions": "?", "criteria": ["x"]}}},
            "questions.a.criteria: expected 2 to",
        ),
        (
            {"questions": {"a": {"type": "noul", "instructions": "?", "criteria": {"maybe": 1}}}},
            "questions.a.criteria.maybe: this field is not known here",
        ),
    ],
)
def test_bad_system_one_requests(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadRequestError, match=said):
        SYSTEM_ONE.decode_request(body(**SYSTEM_BODY | changed))


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([], "no object with an object `answers`"),
        ({"a": {"type": "box"}}, "answers.a is no answer"),
        ({"a": {"type": "noul", "noul": "1"}}, "answers.a.noul: expected a probability"),
        ({"a": {"type": "choice", "choice": "x"}}, "answers.a.probabilities: expected an object"),
        ({"a": {"type": "choice", "choice": 1, "probabilities": {}, "confidence": 1}}, "answers.a.choice: expected a string"),
        (
            {"a": {"type": "score", "score": 1, "probabilities": {"low": 1}, "confidence": 1}},
            "answers.a: expected a score, and",
        ),
    ],
)
def test_system_one_answers_that_make_no_sense(answers: Any, said: str) -> None:
    with pytest.raises(ResponseDecodeError, match=said):
        SYSTEM_ONE.decode_response(body(answers=answers))


# --------------------------------------------------------------------------------------------------------- golden: GPTRouter
@pytest.mark.parametrize(
    ("state", "held"),
    [
        ({"kind": "text", "text": "hi"}, "hi"),
        ({"kind": "json", "value": {"a": [1]}}, {"a": [1]}),
        ({"kind": "json", "value": [1]}, [1]),
    ],
)
def test_states_that_name_their_kind(state: Any, held: Any) -> None:
    questions = {"q": {"type": "noul", "instructions": "?"}}
    request = read_prompt({"state": state, "questions": questions}, "m", "data[0].promptParams")
    assert (request.model, request.state, request.messages) == ("m", held, ())


def test_a_prompt_with_messages_and_questions_in_gptrouter_s_words() -> None:
    content = [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": "https://a/b.png"}]
    questions = {
        "b": {
            "type": "choice",
            "instructions": "?",
            "options": [{"value": "true"}, {"value": "false"}],
            "valueType": "boolean",
        },
        "s": {"type": "score", "instructions": "?", "levels": [{"label": "low", "description": "l"}, {"label": "high"}]},
    }
    state = {"kind": "messages", "messages": [{"role": "user", "content": content}]}
    request = read_prompt({"state": state, "questions": questions}, "m", "p")
    (message,) = request.messages
    assert message.parts == (TextPart(text="hi"), MediaPart(kind="image", url="https://a/b.png"))
    assert [option.value for option in request.questions[0].options] == [True, False]
    assert request.questions[1].options == (DecisionOption(value="low", description="l"), DecisionOption(value="high"))


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (3, "p: expected an object, found integer"),
        ({}, "p.state: expected an object, found nothing"),
        ({"state": {"kind": "blob"}}, "p.state.kind: expected one of text, json, messages"),
        ({"state": {"kind": "text"}}, "p.state.text: expected a string, found nothing"),
        ({"state": {"kind": "json", "value": 3}}, "p.state.value: expected an object or an array, found integer"),
        ({"state": {"kind": "messages", "messages": []}}, "p.state.messages: expected an array of messages that is not empty"),
        ({"state": {"kind": "text", "text": "a"}}, "p.questions: expected 1 to 400"),
    ],
)
def test_bad_prompts(params: Any, said: str) -> None:
    with pytest.raises(BadRequestError, match=said):
        read_prompt(params, "m", "p")


def test_answers_with_a_legend_of_objects() -> None:
    answers = SYSTEM_ONE.decode_response(body(**SYSTEM_ANSWER)).answers
    written = write_answers(answers, labelled=True)
    assert written["anger"]["legend"] == {"0": {"label": "calm"}, "1": {"label": "angry"}}
    assert written["other"] == {"type": "refusal"}


# ----------------------------------------------------------------------------------------------------- from one to the other
def test_an_openai_request_for_system_one_and_its_answer_back() -> None:
    request = OPENAI.decode_request(body(**OPENAI_BODY | {"input": "hi"}))
    encoded = SYSTEM_ONE.encode_request(request)
    assert encoded.body["questions"].keys() == {"refund", "q2", "q3"}
    assert [warning.field for warning in encoded.warnings] == ["extra.openai_decisions.safety_identifier"]
    answers = {
        "q3": {"type": "score", "score": 0.2, "probabilities": {"0": 0.8, "1": 0.2}, "confidence": 0.8},
        "refund": {"type": "noul", "noul": 0.5},
    }
    answer = SYSTEM_ONE.decode_response(body(model="m", answers=answers))
    written, media_type = OPENAI.encode_answer(answer, request, now=0)
    assert media_type == "application/json"
    told = json.loads(written)["answers"]
    assert [(item["type"], item["name"]) for item in told] == [("predicate", "refund"), ("refusal", None), ("score", None)]
    assert told[2]["probabilities"][1] == {"value": 1, "label": "angry", "probability": 0.2}


def test_a_system_one_request_for_openai_and_its_answer_back() -> None:
    request = SYSTEM_ONE.decode_request(body(**SYSTEM_BODY))
    encoded = OPENAI.encode_request(request)
    assert encoded.body["input"] == [{"role": "user", "content": [{"type": "input_json", "data": SYSTEM_BODY["state"]}]}]
    first, second, third = encoded.body["questions"]
    assert first["instructions"] == "Is it?\nIt is true when: asks for money\nIt is false when: does not"
    assert second["instructions"] == [{"type": "input_json", "data": {"ask": "How urgent?"}}]
    assert third["levels"] == [{"label": "calm"}, {"label": "angry", "description": "!"}]
    assert [(warning.field, warning.code) for warning in encoded.warnings] == [
        ("questions[0].criteria", "changed"),
        ("extra.systemone.seed", "dropped"),
    ]
    answers = [
        {"type": "predicate", "name": "refund", "probability": 0.5},
        {
            "type": "choice",
            "name": "urgency",
            "choice": "low",
            "confidence": 1,
            "probabilities": [{"value": "low", "probability": 1}],
        },
        {"type": "refusal", "name": "anger"},
    ]
    written, _ = SYSTEM_ONE.encode_answer(OPENAI.decode_response(body(answers=answers)), request, now=0)
    assert json.loads(written)["answers"] == {
        "refund": {"type": "noul", "noul": 0.5},
        "urgency": {"type": "choice", "choice": "low", "probabilities": {"low": 1.0}, "confidence": 1.0},
        "anger": {"type": "refusal"},
    }


def test_a_conversation_for_system_one_is_its_messages() -> None:
    request = OPENAI.decode_request(body(**OPENAI_BODY | {"input": [{"role": "user", "content": "hi"}]}))
    assert SYSTEM_ONE.encode_request(request).body["state"] == [{"role": "user", "content": "hi"}]


QUESTION = DecisionQuestion(kind="predicate", instructions="?")


@pytest.mark.parametrize(
    ("names", "made"),
    [
        ((None, None), ["q1", "q2"]),
        (("a", None, "q2"), ["a", "q2_2", "q2"]),
        (("a", "a"), ["a", "q2"]),
    ],
)
def test_every_question_has_a_key_of_its_own(names: tuple[str | None, ...], made: list[str]) -> None:
    questions = [DecisionQuestion(kind="predicate", instructions="?", name=name) for name in names]
    assert keys(questions) == made


def test_labels_become_the_values_that_were_asked_for() -> None:
    options = (DecisionOption(value=True), DecisionOption(value=False))
    request = DecisionRequest(
        model="m", state="s", questions=(DecisionQuestion(kind="choice", instructions="?", options=options),)
    )
    odds = (OptionProbability(value="true", probability=1), OptionProbability(value="false", probability=0))
    answer = DecisionAnswer(kind="choice", name="q1", choice="true", confidence=1, probabilities=odds)
    (made,) = matched(DecisionResponse(model="m", answers=(answer,)), request).answers
    assert (made.choice, made.name, [item.value for item in made.probabilities]) == (True, None, [True, False])


def test_an_answer_of_another_kind() -> None:
    request = DecisionRequest(model="m", state="s", questions=(QUESTION,))
    answer = DecisionAnswer(kind="score", score=1)
    with pytest.raises(ResponseDecodeError, match="a predicate was asked for and the answer is a score"):
        matched(DecisionResponse(model="m", answers=(answer,)), request)


# ------------------------------------------------------------------------------------------------------------- chat models
REQUEST = SYSTEM_ONE.decode_request(body(**SYSTEM_BODY))


def said(text: str, reason: Any = "stop") -> ChatResponse:
    choice = Choice(parts=(TextPart(text=text),), finish=Finish(reason=reason))
    return ChatResponse(id="i", model="m", choices=(choice,), usage=Usage(input_tokens=9, output_tokens=4))


def test_a_chat_model_is_shown_state_and_questions_and_held_to_a_schema() -> None:
    chat = as_chat(REQUEST)
    text = "\n".join(part.text for message in chat.messages for part in message.parts)
    for piece in ("charged twice", "q1 (refund): Is it?", "- true: asks for money", "- low: can wait", "- high", "- angry: !"):
        assert piece in text
    schema = chat.response_format.schema
    assert (chat.response_format.strict, schema["required"]) == (True, ["q1", "q2", "q3"])
    assert schema["properties"]["q2"]["properties"]["choice"]["enum"] == ["low", "high"]


def test_a_conversation_is_shown_by_who_spoke_with_its_pictures() -> None:
    request = OPENAI.decode_request(body(**OPENAI_BODY | {"questions": OPENAI_BODY["questions"][:1]}))
    parts = as_chat(request).messages[1].parts
    text = "\n".join(part.text for part in parts if isinstance(part, TextPart))
    assert [part for part in parts if isinstance(part, MediaPart)] == [MediaPart(kind="image", url="https://a/b.png")]
    for piece in ("[developer]", "be strict", "[user]", '"order":4411', '"name":"look"', "two charges"):
        assert piece in text


def test_options_that_read_alike_cannot_be_asked_of_a_chat_model() -> None:
    with pytest.raises(BadRequestError, match=r"questions\[1\]: two options read 'true'"):
        as_chat(OPENAI.decode_request(body(**OPENAI_BODY)))


@pytest.mark.parametrize("frame", ["{}", "```json\n{}\n```", "Here it is: {}"])
def test_what_a_chat_model_answers(frame: str) -> None:
    text = json.dumps({"q1": 0.25, "q2": {"choice": "high", "confidence": 0.75}, "q3": 0.25})
    answer = from_chat(said(frame.replace("{}", text)), REQUEST)
    refund, urgency, anger = answer.answers
    assert (refund.name, refund.probability) == ("refund", 0.25)
    assert (urgency.choice, urgency.confidence) == ("high", 0.75)
    assert [(item.value, item.probability) for item in urgency.probabilities] == [("low", 0.25), ("high", 0.75)]
    assert (anger.score, anger.confidence) == (0.25, 0.75)
    assert [(item.value, item.probability, item.label) for item in anger.probabilities] == [
        (0, 0.75, "calm"),
        (1, 0.25, "angry"),
    ]
    assert (answer.calibrated, answer.usage.total_tokens) == (False, 13)
    assert [(warning.field, warning.code) for warning in SYSTEM_ONE.carry(REQUEST)[1]] == [("probabilities", "emulated")]
    assert json.loads(SYSTEM_ONE.encode_response(answer, now=0))["calibrated"] is False


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("no", "the model was asked for a JSON object and said 'no'"),
        ("{", "the model was asked for a JSON object"),
        ('{"q1": 25}', "q1: expected a probability from 0 to 1, found 25"),
        ('{"q1": 0.5, "q2": "high"}', "q2.choice: expected one of the options, found null"),
        ('{"q1": 0.5, "q2": {"choice": "middle"}}', 'q2.choice: expected one of the options, found "middle"'),
        ('{"q1": 0.5, "q2": {"choice": "low", "confidence": 2}}', "q2.confidence: expected a probability"),
        ('{"q1": 0.5, "q2": {"choice": "low", "confidence": 1}, "q3": 1.5}', "q3: expected a number from 0 to 1, found 1.5"),
    ],
)
def test_what_a_chat_model_must_not_answer(text: str, problem: str) -> None:
    with pytest.raises(ResponseDecodeError, match=problem):
        from_chat(said(text), REQUEST)


@pytest.mark.parametrize(
    "response",
    [
        said("", "content_filter"),
        said("I will not", "refusal"),
        ChatResponse(id="i", model="m", choices=(Choice(parts=(RefusalPart(text="no"),)),)),
    ],
)
def test_a_model_that_refuses_has_refused_every_question(response: ChatResponse) -> None:
    answers = from_chat(response, REQUEST).answers
    assert [(answer.kind, answer.name) for answer in answers] == [
        ("refusal", "refund"),
        ("refusal", "urgency"),
        ("refusal", "anger"),
    ]


# -------------------------------------------------------------------------------------------------------------- properties
WORDS = st.text("abc ", min_size=1, max_size=5)
OPTIONS = st.lists(WORDS | st.booleans(), min_size=2, max_size=4, unique_by=lambda value: (type(value), value))


def asked(names: Any, labels: Any) -> Any:
    def options(values: list[Any]) -> tuple[DecisionOption, ...]:
        return tuple(DecisionOption(value=value) for value in values)

    levels = st.lists(WORDS, min_size=2, max_size=4)
    return st.one_of(
        st.builds(DecisionQuestion, kind=st.just("predicate"), instructions=WORDS, name=names),
        st.builds(DecisionQuestion, kind=st.just("choice"), instructions=WORDS, name=names, options=labels.map(options)),
        st.builds(DecisionQuestion, kind=st.just("score"), instructions=WORDS, name=names, options=levels.map(options)),
    )


@given(st.lists(asked(st.none() | WORDS, OPTIONS), min_size=1, max_size=4).map(tuple), WORDS)
def test_openai_requests_there_and_back(questions: tuple[DecisionQuestion, ...], state: str) -> None:
    request = DecisionRequest(model="m", questions=questions, state=state)
    written, warnings, _ = OPENAI.encode_request(request)
    assert warnings == ()
    assert OPENAI.decode_request(json.dumps(written).encode()) == request


LABELS = st.lists(WORDS, min_size=2, max_size=4, unique=True)
NAMED = st.lists(asked(WORDS, LABELS), min_size=1, max_size=4, unique_by=lambda question: question.name).map(tuple)


@given(NAMED, st.text(min_size=1, max_size=4) | st.lists(st.integers(), max_size=3) | st.dictionaries(WORDS, st.integers()))
def test_system_one_requests_there_and_back(questions: tuple[DecisionQuestion, ...], state: Any) -> None:
    request = DecisionRequest(model="m", questions=questions, state=state)
    written, warnings, _ = SYSTEM_ONE.encode_request(request)
    assert warnings == ()
    assert SYSTEM_ONE.decode_request(json.dumps(written).encode()) == request


ODDS = st.floats(0, 1)


def answered(question: DecisionQuestion, odds: float) -> DecisionAnswer:
    if question.kind == "predicate":
        return DecisionAnswer(kind="predicate", name=question.name, probability=odds)
    if question.kind == "choice":
        options = tuple(OptionProbability(value=option.value, probability=odds) for option in question.options)
        choice = question.options[0].value
        return DecisionAnswer(kind="choice", name=question.name, choice=choice, confidence=odds, probabilities=options)
    levels = tuple(
        OptionProbability(value=level, probability=odds, label=str(option.value))
        for level, option in enumerate(question.options)
    )
    return DecisionAnswer(kind="score", name=question.name, score=odds, confidence=odds, probabilities=levels)


@pytest.mark.parametrize("dialect", [OPENAI, SYSTEM_ONE], ids=lambda dialect: dialect.name)
@given(questions=NAMED, odds=ODDS, refused=st.booleans())
def test_answers_there_and_back(dialect: Any, questions: tuple[DecisionQuestion, ...], odds: float, refused: bool) -> None:
    answers = [answered(question, odds) for question in questions]
    if refused:
        answers[0] = DecisionAnswer(kind="refusal", name=questions[0].name)
    response = DecisionResponse(model="m", answers=tuple(answers), usage=Usage(input_tokens=3), calibrated=odds < 0.5)
    request = DecisionRequest(model="m", state="s", questions=questions)
    body_, _ = dialect.encode_answer(response, request, now=0)
    assert dialect.decode_response(body_) == response
