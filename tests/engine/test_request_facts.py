"""What is read from a request's envelope: tokens about, abilities, sessions and tags; and nothing out of the texts in it."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.core import json
from dragoman.engine.request_facts import request_facts, without_tags
from dragoman.router.state import RequestFacts


def facts(body: dict[str, Any], **given: Any) -> RequestFacts:
    return request_facts(json.decode_envelope(json.encode(body)), "m", stream=False, **given)


def said(content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content}]}


def test_tokens_are_about_as_many_as_there_are_words_and_never_more() -> None:
    assert 600 < facts(said("the quick brown fox " * 200)).input_tokens <= 820
    assert facts(said("слово " * 1000)).input_tokens < 2400


def test_escaped_letters_count_as_letters() -> None:
    plain = facts(said("слово " * 1000)).input_tokens
    escaped = json.decode_envelope(b'{"messages":"' + "слово ".encode("unicode-escape") * 1000 + b'"}')
    assert request_facts(escaped, "m", stream=False).input_tokens < 1.5 * plain


def test_files_in_base64_are_no_text() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "iVBORw0KGgo" * 10_000}}
    assert facts(said([image])).input_tokens < 100


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_the_answers_length(name: str) -> None:
    assert facts({name: 70}).output_tokens == 70
    assert facts({name: "many"}).output_tokens == facts({name: -1}).output_tokens == 0


@pytest.mark.parametrize(
    ("body", "abilities"),
    [
        (said("hi"), set()),
        (said([{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}]), {"images"}),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]}, {"images"}),
        (said([{"type": "image", "source": {}}]), {"images"}),
        ({"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}]}, {"images"}),
        (said([{"type": "input_audio", "input_audio": {}}]), {"audio"}),
        (said([{"type": "document", "source": {}}]), {"documents"}),
        ({"tools": [{"type": "function"}]}, {"tools"}),
        ({"tools": []}, set()),
        ({"tools": None}, set()),
        ({"response_format": {"type": "json_schema", "json_schema": {}}}, {"schema"}),
        ({"response_format": {"type": "json_object"}}, set()),
        ({"text": {"format": {"type": "json_schema"}}}, {"schema"}),
        ({"generationConfig": {"responseSchema": {}}}, {"schema"}),
        (said('what is {"type":"image","image_url":1} and "input_audio"?'), set()),
    ],
)
def test_what_a_model_must_be_able_to_do(body: dict[str, Any], abilities: set[str]) -> None:
    assert facts(body).abilities == abilities


@pytest.mark.parametrize(
    ("body", "session"),
    [
        ({}, None),
        ({"user": "u", "prompt_cache_key": "k"}, "k"),
        ({"user": "u", "metadata": {"session_id": "s"}}, "s"),
        ({"metadata": {"user_id": "user_1_session_2"}}, "user_1_session_2"),
        ({"user": "u"}, "u"),
        ({"user": 3, "metadata": "no object"}, None),
    ],
)
def test_what_requests_of_one_conversation_share(body: dict[str, Any], session: str | None) -> None:
    assert facts(body).session == session
    assert facts(body, session="told").session == "told"


def test_tags_count_where_they_are_asked_for_and_can_be_taken_out() -> None:
    body = {"metadata": {"tags": ["a", "b", 3], "run": "7"}, "user": "u"}
    assert facts(body).tags == frozenset()
    assert facts(body, tagged=True).tags == {"a", "b"}
    left = without_tags(json.decode_envelope(json.encode(body)))
    assert json.decode(json.encode(left)) == {"user": "u", "metadata": {"run": "7"}}
    assert without_tags(json.decode_envelope(b'{"metadata":{"tags":["a"]}}')) == {}


def test_what_the_caller_knows_better_goes_first() -> None:
    found = facts({"user": "u"}, tags=frozenset({"x"}), retries=1)
    assert (found.group, found.tags, found.retries) == ("m", {"x"}, 1)
