"""`GPTRouterDecisionModel`: LangChain's decision questions, in this process and over a gateway that speaks GPTRouter's API."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("langchain_core.decisions")

from langchain_core.decisions import Box, Choice, Noul, NoulCriteria, Score
from langchain_core.exceptions import ModelAuthenticationError, ModelInvalidRequestError
from langchain_core.load import dumps, loads
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import ValidationError

import dragoman
from dragoman.core.http import HttpRequest, HttpResponse
from dragoman.langchain import GPTRouterDecisionModel, GPTRouterModel
from dragoman.langchain.errors import ModelRefusalError
from dragoman.transport.replay import Answer, AsyncReplayTransport, ReplayTransport
from support.demo_server import demo_server
from support.gptrouter import KEY, gptrouter_gateway

QUESTIONS: dict[str, Any] = {
    "urgent": Noul(instructions="Is it urgent?", criteria=NoulCriteria(true="now", false="later")),
    "team": Choice(instructions="Whose is it?", criteria={"billing": None, "technical": "bugs"}),
    "severity": Score(instructions="How bad?", criteria=["fine", {"level": "odd"}, "bad"]),
}
ANSWERS = {
    "urgent": {"type": "noul", "noul": 0.9},
    "team": {"type": "choice", "choice": "technical", "probabilities": {"billing": 0.2, "technical": 0.8}, "confidence": 0.8},
    "severity": {
        "type": "score",
        "score": 1.5,
        "legend": {"0": "fine", "1": "1", "2": "bad"},
        "probabilities": {"0": 0.1, "1": 0.3, "2": 0.6},
        "confidence": 0.6,
    },
}
JEV = "typesafe/jev-1.13.0"
PICTURE = {"type": "image", "base64": "UE5H", "mime_type": "image/png"}
SOUND = {"type": "audio", "base64": "UklG", "mime_type": "audio/wav"}


class Upstream:
    """System One, as Typesafe serves it; `failing` models answer with a status."""

    def __init__(self, answers: Any = ANSWERS, **failing: int) -> None:
        self.answers = answers
        self.failing = failing
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: HttpRequest) -> Answer:
        body = json.loads(request.body)
        self.asked.append(body)
        status = self.failing.get(body["model"], 200)
        told = {"error": {"message": "no"}}
        if status == 200:
            told = {"model": body["model"], "answers": self.answers, "usage": {"input_tokens": 7, "output_tokens": 3}}
        headers = (("content-type", "application/json"), ("retry-after", "0"))
        return HttpResponse(status=status, headers=headers, body=json.dumps(told).encode())

    def model(self, *names: str, **given: Any) -> GPTRouterDecisionModel:
        env = {"TYPESAFE_API_KEY": "k"}
        client = dragoman.Client(transport=ReplayTransport(choose=self), env=env)
        async_client = dragoman.AsyncClient(transport=AsyncReplayTransport(choose=self), env=env)
        return GPTRouterDecisionModel(
            models_priority_list=list(names or (JEV,)), client=client, async_client=async_client, **given
        )


def told(response: Any) -> dict[str, Any]:
    return {
        "urgent": response.nouls["urgent"].noul,
        "team": (response.choices["team"].choice, response.choices["team"].confidence),
        "severity": (response.scores["severity"].score, response.scores["severity"].legend[1]),
    }


EXPECTED = {"urgent": 0.9, "team": ("technical", 0.8), "severity": (1.5, {"level": "odd"})}


async def test_answers_keep_their_types_and_a_score_its_rubric() -> None:
    model = Upstream().model()
    request: Any = {"state": "Production is down.", "questions": QUESTIONS}
    for response in (model.invoke(request), await model.ainvoke(request)):
        assert told(response) == EXPECTED
        assert response.model == "jev-1.13.0"
        assert response.usage == {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}


STATES: list[tuple[Any, Any]] = [
    ("text", "text"),
    ({"order": 7, "said": [HumanMessage("x")]}, {"order": 7, "said": [{"role": "user", "content": "x"}]}),
    ({"type": ["image"], "said": "x"}, {"type": ["image"], "said": "x"}),
    (HumanMessage("x"), [{"role": "user", "content": "x"}]),
    (
        [HumanMessage("x"), AIMessage("y")],
        [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}],
    ),
]


@pytest.mark.parametrize(("state", "sent"), STATES)
def test_a_state_of_any_kind_is_sent(state: Any, sent: Any) -> None:
    upstream = Upstream()
    upstream.model().invoke({"state": state, "questions": QUESTIONS})
    assert upstream.asked[0]["state"] == sent


REFUSED: list[tuple[Any, str]] = [
    ({"state": "x", "questions": {"where": Box(instructions="the cat")}}, "questions.where: .* no boxes"),
    ({"state": {"p": PICTURE}, "questions": QUESTIONS}, "state: pictures are read in a state of messages"),
    ({"state": HumanMessage([PICTURE, SOUND]), "questions": QUESTIONS}, "state: .* text and pictures; it holds input_audio"),
    ({"state": "x", "questions": {"q": Noul(instructions=[PICTURE])}}, "questions.q.instructions: pictures"),
    (
        {"state": HumanMessage([PICTURE]), "questions": {"q": Noul(instructions=[PICTURE])}},
        "questions.q.instructions: pictures",
    ),
    ({"state": "x", "questions": {}}, "questions"),
]


@pytest.mark.parametrize(("request_", "problem"), REFUSED)
def test_what_the_api_cannot_ask_is_refused_before_anything_is_sent(request_: Any, problem: str) -> None:
    upstream = Upstream()
    with pytest.raises(dragoman.BadRequestError, match=problem) as caught:
        upstream.model().invoke(request_)
    assert isinstance(caught.value, ModelInvalidRequestError)
    assert not upstream.asked


@pytest.mark.parametrize("answers", [{**ANSWERS, "team": {"type": "refusal"}}, {"urgent": ANSWERS["urgent"]}])
def test_a_refusal_or_no_answer_is_an_error(answers: Any) -> None:
    with pytest.raises(ModelRefusalError, match="refused to answer 'team'"):
        Upstream(answers).model().invoke({"state": "x", "questions": QUESTIONS})


def test_an_answer_that_makes_no_sense_is_an_error() -> None:
    wrong = {**ANSWERS, "urgent": {"type": "noul", "noul": 7}}
    with pytest.raises(dragoman.ResponseDecodeError, match="urgent"):
        Upstream(wrong).model().invoke({"state": "x", "questions": QUESTIONS})


async def test_the_next_model_is_asked_and_requests_are_bounded() -> None:
    upstream = Upstream(**{"jev-one": 500, "jev-two": 503})
    asked: Any = {"state": "x", "questions": QUESTIONS}
    names = ("typesafe/jev-one", "typesafe/jev-two", JEV)
    assert upstream.model(*names).invoke(asked).model == "jev-1.13.0"
    assert (await upstream.model(*names).ainvoke(asked)).model == "jev-1.13.0"
    assert [body["model"] for body in upstream.asked] == ["jev-one", "jev-two", "jev-1.13.0"] * 2
    with pytest.raises(dragoman.ServiceUnavailableError):
        upstream.model(*names[:2], max_retries=2).invoke(asked)
    assert [body["model"] for body in upstream.asked[6:]] == ["jev-one", "jev-two", "jev-two"]


def test_a_wrong_request_is_nobodys_next() -> None:
    upstream = Upstream(**{"jev-one": 400})
    with pytest.raises(dragoman.BadRequestError):
        upstream.model("typesafe/jev-one", JEV).invoke({"state": "x", "questions": QUESTIONS})
    assert len(upstream.asked) == 1


def test_a_chat_model_answers_by_a_schema() -> None:
    response = GPTRouterDecisionModel(model="demo/canned").invoke({"state": "x", "questions": QUESTIONS})
    assert response.choices["team"].choice in ("billing", "technical")
    assert response.scores["severity"].legend == {0: "fine", 1: {"level": "odd"}, 2: "bad"}


# --------------------------------------------------------------------------------------------------------------- pictures
LISTED: list[dict[str, Any]] = [
    {"type": "predicate", "name": "urgent", "probability": 0.9},
    {
        "type": "choice",
        "name": "team",
        "choice": "technical",
        "confidence": 0.8,
        "probabilities": [{"value": "billing", "probability": 0.2}, {"value": "technical", "probability": 0.8}],
    },
    {
        "type": "score",
        "name": "severity",
        "score": 1.5,
        "confidence": 0.6,
        "probabilities": [{"value": level, "probability": odd} for level, odd in enumerate((0.1, 0.3, 0.6))],
    },
]
ASKED = [
    {"type": "predicate", "name": "urgent", "instructions": "Is it urgent?\nIt is true when: now\nIt is false when: later"},
    {
        "type": "choice",
        "name": "team",
        "instructions": "Whose is it?",
        "choices": [{"value": "billing"}, {"value": "technical", "description": "bugs"}],
    },
    {
        "type": "score",
        "name": "severity",
        "instructions": "How bad?",
        "levels": [{"label": "fine"}, {"label": "1", "description": '{"level":"odd"}'}, {"label": "bad"}],
    },
]


class OpenAI:
    """Decisions, as OpenAI serves them."""

    def __init__(self, answers: list[dict[str, Any]]) -> None:
        self.answers = answers
        self.asked: list[dict[str, Any]] = []

    def __call__(self, request: HttpRequest) -> Answer:
        assert request.url.endswith("/decisions")
        self.asked.append(json.loads(request.body))
        usage = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
        told = {"id": "d", "model": "gpt-6-luna", "answers": self.answers, "usage": usage}
        return HttpResponse(status=200, headers=(("content-type", "application/json"),), body=json.dumps(told).encode())

    def model(self) -> GPTRouterDecisionModel:
        env = {"OPENAI_API_KEY": "k"}
        client = dragoman.Client(transport=ReplayTransport(choose=self), env=env)
        async_client = dragoman.AsyncClient(transport=AsyncReplayTransport(choose=self), env=env)
        return GPTRouterDecisionModel(model="openai/gpt-6-luna", client=client, async_client=async_client)


SHOWN: Any = {"type": "input_image", "image_url": "data:image/png;base64,UE5H"}
SEEN: list[tuple[Any, list[dict[str, Any]]]] = [
    (HumanMessage([PICTURE]), [{"role": "user", "content": [SHOWN]}]),
    (
        [HumanMessage(["this", PICTURE]), AIMessage("A cat."), HumanMessage("Sure?")],
        [
            {"role": "user", "content": [{"type": "input_text", "text": "this"}, SHOWN]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "A cat."}]},
            {"role": "user", "content": "Sure?"},
        ],
    ),
]


@pytest.mark.parametrize(("state", "sent"), SEEN)
async def test_pictures_in_messages_are_asked_about_in_the_form_that_can_hold_them(state: Any, sent: Any) -> None:
    upstream = OpenAI(LISTED)
    model, request = upstream.model(), {"state": state, "questions": QUESTIONS}
    for response in (model.invoke(request), await model.ainvoke(request)):  # type: ignore[arg-type]
        assert told(response) == EXPECTED
        assert (response.model, response.usage["total_tokens"]) == ("gpt-6-luna", 10)
    for body in upstream.asked:
        assert [{key: item[key] for key in ("role", "content")} for item in body["input"]] == sent
        assert body["questions"] == ASKED


def test_a_chat_model_is_shown_a_picture() -> None:
    response = GPTRouterDecisionModel(model="demo/canned").invoke({"state": HumanMessage([PICTURE]), "questions": QUESTIONS})
    assert response.choices["team"].choice in ("billing", "technical")
    assert response.scores["severity"].legend == {0: "fine", 1: {"level": "odd"}, 2: "bad"}


def test_no_decision_blocks_the_loop() -> None:
    blockbuster = pytest.importorskip("blockbuster")
    model = GPTRouterDecisionModel(model="demo/canned")

    async def main() -> None:
        for state in ("text", HumanMessage([PICTURE])):
            assert (await model.ainvoke({"state": state, "questions": QUESTIONS})).answers

    with blockbuster.blockbuster_ctx():
        asyncio.run(main())


def test_a_refusal_about_a_picture_is_an_error() -> None:
    refused = [LISTED[0], {"type": "refusal", "name": "team"}, LISTED[2]]
    with pytest.raises(ModelRefusalError, match="refused to answer 'team'"):
        OpenAI(refused).model().invoke({"state": HumanMessage([PICTURE]), "questions": QUESTIONS})


def test_what_cannot_be_said_beside_a_picture_is_a_warning() -> None:
    seen = HumanMessage([PICTURE], name="Ann")
    with pytest.warns(UserWarning, match=r"messages\[0\].name: messages have no name here"):
        OpenAI(LISTED).model().invoke({"state": seen, "questions": QUESTIONS})


# ------------------------------------------------------------------------------------------------------------ constructor
def test_one_model_may_be_named_and_unknown_arguments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPT_ROUTER_API_BASE", "http://127.0.0.1:9")
    model = GPTRouterDecisionModel(model_name=JEV, api_key="sk-secret", timeout=3)
    assert model.models_priority_list == [GPTRouterModel(name="jev-1.13.0", provider_name="typesafe")]
    assert (model.model, model._provider, model.request_timeout) == (JEV, "typesafe", 3)
    assert model.gpt_router_api_base == "http://127.0.0.1:9"
    assert "sk-secret" not in repr(model) + dumps(model)
    with pytest.raises(ValidationError, match="temprature"):
        GPTRouterDecisionModel(model=JEV, temprature=1)
    with pytest.raises(ValidationError, match="models_priority_list"):
        GPTRouterDecisionModel(models_priority_list=[])


@pytest.mark.filterwarnings("ignore:.*is in beta")
def test_copies() -> None:
    model = GPTRouterDecisionModel(model="demo/canned", max_retries=1)
    again: Any = loads(dumps(model), valid_namespaces=["dragoman"], allowed_objects=[GPTRouterDecisionModel])
    assert again == model
    assert pickle.loads(pickle.dumps(model)) == model


# -------------------------------------------------------------------------------------------------------- over a gateway
@pytest.fixture(scope="module")
def gateway() -> Iterator[str]:
    pytest.importorskip("uvicorn")
    with demo_server() as demo:
        models = f"models:\n  - {{name: judge, model: openai/canned, api_base: '{demo.openai_url}', api_key: sk-upstream}}\n"
        with gptrouter_gateway(models) as url:
            yield url


@pytest.mark.parametrize("state", [state for state, _ in STATES])
async def test_over_a_gateway(gateway: str, state: Any) -> None:
    model = GPTRouterDecisionModel(model="openai/judge", gpt_router_api_base=gateway, gpt_router_api_key=KEY)
    asked: Any = {"state": state, "questions": QUESTIONS}
    for response in (model.invoke(asked), await model.ainvoke(asked)):
        assert response.choices["team"].choice in ("billing", "technical")
        assert response.usage["total_tokens"] > 0


def test_a_picture_is_shown_over_a_gateway(gateway: str) -> None:
    model = GPTRouterDecisionModel(model="openai/judge", gpt_router_api_base=gateway, gpt_router_api_key=KEY)
    seen = HumanMessage([{"type": "text", "text": "this"}, PICTURE])
    assert model.invoke({"state": [seen], "questions": QUESTIONS}).nouls["urgent"].noul >= 0
    for state, problem in (([HumanMessage([SOUND])], "text and pictures"), ([seen, AIMessage("x")], "in human ones alone")):
        with pytest.raises(dragoman.BadRequestError, match=problem):
            model.invoke({"state": state, "questions": QUESTIONS})


def test_a_wrong_key_at_a_gateway(gateway: str) -> None:
    model = GPTRouterDecisionModel(model="openai/judge", gpt_router_api_base=gateway, gpt_router_api_key="sk-wrong-key-0001")
    with pytest.raises(ModelAuthenticationError):
        model.invoke({"state": "x", "questions": QUESTIONS})
