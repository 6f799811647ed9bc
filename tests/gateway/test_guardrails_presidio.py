"""Presidio as a guardrail: the real package over a pipeline without a model, and its service as it answers."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import ConfigurationError
from dragoman.core.http import HttpRequest, HttpResponse
from dragoman.gateway.guardrails.presidio import Found, pieces
from dragoman.gateway.guardrails.spans import Span, masked
from support.whole_gateway import JSON, WholeGateway, openai_answer, openai_stream, said

MODELS = "models: [{name: m, model: openai/gpt-x}]\nretries: 0\nguardrails:\n"
CARD, MAIL, PHONE = "4111 1111 1111 1111", "jane@example.com", "+1 212 555 1234"


def gateway(entry: str, *answers: Any, choose: Any = None) -> WholeGateway:
    return WholeGateway(f"{MODELS}  - {entry}\n", *answers, choose=choose)


def run(work: Any) -> Any:
    return asyncio.run(work)


# ---------------------------------------------------------------------------------------------------------------- masking
@pytest.mark.parametrize(
    "found, expected",
    [
        ([], "abcdefgh"),
        ([Found("X", 2, 4, 0.5)], "ab[X]efgh"),
        ([Found("X", 0, 8, 0.5)], "[X]"),
        ([Found("Y", 5, 6, 0.5), Found("X", 0, 2, 0.5)], "[X]cde[Y]gh"),
        ([Found("X", 0, 4, 0.4), Found("Y", 2, 6, 0.9)], "[Y]gh"),
        ([Found("X", 0, 4, 0.9), Found("Y", 2, 6, 0.4), Found("Z", 5, 7, 0.5)], "[X]h"),
        ([Found("X", 0, 4, 0.4), Found("Y", 0, 4, 0.8)], "[Y]efgh"),
        ([Found("X", 0, 4, 0.9), Found("Y", 4, 8, 0.4)], "[X][Y]"),
    ],
)
def test_what_overlaps_is_one_span_of_the_kind_that_is_surest(found: list[Found], expected: str) -> None:
    assert masked(pieces("abcdefgh", found)) == expected


PLACES = st.tuples(st.integers(0, 7), st.integers(1, 4), st.sampled_from("XY"), st.floats(0, 1))


@given(st.lists(PLACES, max_size=6))
def test_all_that_was_found_is_masked_and_nothing_else(places: list[tuple[int, int, str, float]]) -> None:
    text = "0123456789a"
    found = [Found(kind, start, start + length, score) for start, length, kind, score in places]
    ready = pieces(text, found)
    kept = [piece for piece in ready if isinstance(piece, str)]
    spans = [piece for piece in ready if isinstance(piece, Span)]
    covered = {place for each in found for place in range(each.start, each.end)}
    assert "".join(kept) == "".join(letter for place, letter in enumerate(text) if place not in covered)
    assert {place for span in spans for place in range(span.start, span.end)} == covered


# ------------------------------------------------------------------------------------------------------- in this process
@pytest.fixture(scope="module")
def presidio() -> None:
    """Seconds, so it is loaded once."""
    pytest.importorskip("presidio_analyzer")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("Presidio wants to ask somebody")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("presidio", "no_network")
def test_what_presidio_finds_is_masked_and_nobody_else_is_asked() -> None:
    house = gateway("{name: pii, use: presidio, model: patterns, action: mask}", openai_answer("ok"))
    seen = run(house.chat(f"I am {MAIL}, my card is {CARD}, call {PHONE}."))
    assert seen.status == 200
    (message,) = json.loads(house.asked[0].body)["messages"]
    assert message["content"] == "I am [EMAIL_ADDRESS], my card is [CREDIT_CARD], call [PHONE_NUMBER]."
    assert "masked" in seen.head["x-dragoman-guardrails"]
    assert "credit card" in seen.head["x-dragoman-warnings"]


@pytest.mark.usefixtures("presidio")
@pytest.mark.parametrize(
    "terms, text, status, mark",
    [
        ("entities: [CREDIT_CARD]", MAIL, 200, None),
        ("entities: [CREDIT_CARD]", CARD, 400, None),
        ("entities: [CREDIT_CARD], action: flag", CARD, 200, "pii: it holds credit card"),
        ("entities: [PHONE_NUMBER]", PHONE, 400, None),
        ("entities: [PHONE_NUMBER], score: 0.9", PHONE, 200, None),
        ("stage: during", CARD, 400, None),
    ],
)
def test_its_terms_are_those_of_any_guardrail(terms: str, text: str, status: int, mark: str | None) -> None:
    house = gateway(f"{{name: pii, use: presidio, model: patterns, {terms}}}", openai_answer("ok"))
    seen = run(house.chat(text))
    assert (seen.status, seen.head.get("x-dragoman-guardrails")) == (status, mark)
    assert text not in seen.text


@pytest.mark.usefixtures("presidio")
@pytest.mark.parametrize("stream", [False, True])
def test_answers_are_masked_too_and_streams_held_until_they_are_whole(stream: bool) -> None:
    answer = openai_stream("I am ", MAIL[:6], MAIL[6:], ".") if stream else openai_answer(f"I am {MAIL}.")
    house = gateway("{name: pii, use: presidio, model: patterns, stage: after, action: mask}", answer)
    seen = run(house.chat("hi", stream=stream))
    text = said(seen) if stream else seen.value["choices"][0]["message"]["content"]
    assert text == "I am [EMAIL_ADDRESS]."


@pytest.mark.usefixtures("presidio")
def test_the_event_loop_goes_on_while_a_model_thinks(tmp_path: Path) -> None:
    import spacy

    thinking, enough = threading.Event(), threading.Event()

    @spacy.Language.component("thinks")
    def think(doc: Any) -> Any:
        thinking.set()
        assert enough.wait(20), "the loop was held up"
        return doc

    pipeline = spacy.blank("en")
    pipeline.add_pipe("thinks")
    pipeline.to_disk(tmp_path / "model")
    house = gateway(f"{{name: pii, use: presidio, model: {tmp_path}/model, action: mask}}", openai_answer("ok"))

    async def scenario() -> int:
        asked = asyncio.create_task(house.chat(CARD))
        await asyncio.to_thread(thinking.wait, 20)
        assert not asked.done()
        enough.set()
        return (await asked).status

    assert run(scenario()) == 200


@pytest.mark.usefixtures("presidio")
def test_a_model_of_the_operators_is_asked(tmp_path: Path) -> None:
    import spacy

    pipeline = spacy.blank("en")
    pipeline.add_pipe("entity_ruler").add_patterns([{"label": "PERSON", "pattern": "Jane Doe"}])
    pipeline.to_disk(tmp_path / "model")
    of_model = f"model: {tmp_path}/model"
    of_nlp = f"nlp: {{nlp_engine_name: spacy, models: [{{lang_code: en, model_name: {tmp_path}/model}}]}}"
    for terms in (of_model, of_nlp):
        house = gateway(f"{{name: pii, use: presidio, {terms}, action: mask, entities: [PERSON]}}", openai_answer("ok"))
        run(house.chat("I am Jane Doe."))
        assert json.loads(house.asked[0].body)["messages"][0]["content"] == "I am [PERSON]."


@pytest.mark.usefixtures("presidio", "no_network")
@pytest.mark.parametrize(
    "terms, message",
    [
        ("model: en_core_web_nobody", r"dragoman\.yaml:4: guardrails\[0\]\.model: .* spacy download"),
        ("model: patterns, entities: [MAIL]", r"guardrails\[0\]\.entities: 'MAIL' is none of .*EMAIL_ADDRESS"),
        ("nlp: {nlp_engine_name: nobody, models: []}", r"Presidio cannot be loaded"),
    ],
)
def test_what_cannot_be_loaded_is_told_at_the_start(terms: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        gateway(f"{{name: pii, use: presidio, {terms}}}")


@pytest.mark.parametrize(
    "terms, message",
    [
        ("action: mask", "expected one of url, model and nlp"),
        ("model: patterns, url: 'http://presidio.test'", "expected one of url, model and nlp"),
        ("url: 'ftp://presidio.test'", r"guardrails\[0\]\.url"),
        ("url: 'http://presidio.test', score: 2", r"guardrails\[0\]\.score"),
        ("url: 'http://presidio.test', action: mask, stage: during", r"guardrails\[0\]\.stage"),
    ],
)
def test_terms_that_mean_nothing_are_refused(terms: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        gateway(f"{{name: pii, use: presidio, {terms}}}")


# ----------------------------------------------------------------------------------------------------------- the service
SERVICE = "{name: pii, use: presidio, url: 'http://presidio.test:3000/', headers: {X-Token: t}, action: mask}"


def answered(*found: dict[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(status=status, headers=JSON, body=json.dumps(found).encode())


def found(kind: str, start: int, end: int) -> dict[str, Any]:
    """With the fields that the service adds and nobody needs."""
    return {"entity_type": kind, "start": start, "end": end, "score": 0.85, "analysis_explanation": None}


def by_address(*presidio: HttpResponse) -> Any:
    left = list(presidio)
    return lambda request: left.pop(0) if "presidio.test" in request.url else openai_answer("ok")


def test_the_service_is_asked_for_each_text_in_its_own_words() -> None:
    choose = by_address(answered(), answered(found("PERSON", 5, 9)))
    house = gateway(SERVICE.replace("action", "entities: [PERSON], language: de, action"), choose=choose)
    messages = [{"role": "system", "content": "Sei nett."}, {"role": "user", "content": "I am Jane, hi"}]
    seen = run(house.ask("POST", "/v1/chat/completions", {"model": "m", "messages": messages}))
    assert seen.status == 200
    asked: list[HttpRequest] = house.asked[:2]
    assert {request.url for request in asked} == {"http://presidio.test:3000/analyze"}
    assert dict(asked[0].headers)["x-token"] == "t"
    assert json.loads(asked[1].body) == {
        "text": "I am Jane, hi",
        "language": "de",
        "score_threshold": 0.4,
        "entities": ["PERSON"],
    }
    assert json.loads(house.asked[2].body)["messages"][1]["content"] == "I am [PERSON], hi"


@pytest.mark.parametrize(
    "answer",
    [
        answered(status=500),
        HttpResponse(status=200, headers=JSON, body=b"{}"),
        HttpResponse(status=200, headers=JSON, body=b"no"),
        HttpResponse(status=302, headers=(("location", "http://169.254.169.254/"),)),
        answered(found("PERSON", 5, 900)),
        answered(found("PERSON", 3, 3)),
    ],
)
@pytest.mark.parametrize("on_failure, status", [("closed", 503), ("open", 200)])
def test_what_is_no_answer_of_presidios_decides_nothing(answer: HttpResponse, on_failure: str, status: int) -> None:
    house = gateway(SERVICE.replace("action", f"on_failure: {on_failure}, action"), choose=by_address(answer))
    assert run(house.chat("I am Jane")).status == status
