"""Moderation: every recorded exchange, bad input, and both halves against each other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.chat import MediaPart, TextPart, Usage
from dragoman.core.errors import AuthenticationError, BadRequestError, ResponseDecodeError, error_for
from dragoman.core.json import decode_envelope
from dragoman.core.operations import ModerationRequest, ModerationResponse, ModerationResult
from dragoman.dialects.openai_moderations import DIALECT
from support.recordings import Entry, exchanges

RECORDED = exchanges("moderations")
NOT_SPOKEN = {"mistral-moderations-plain-6a797940"}
"""Requests to Mistral's second endpoint, which judges a conversation in its messages; its answers are the same."""


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry.id)
def test_recorded_answers_come_through(entry: Entry) -> None:
    recorded = entry.load()
    answer = DIALECT.decode_response(recorded.response_bytes)
    assert json.loads(DIALECT.encode_response(answer, now=0)) == as_we_answer(recorded.response_json)
    assert answer.usage == DIALECT.read_usage(recorded.response_bytes)


def as_we_answer(recorded: dict[str, Any]) -> dict[str, Any]:
    """Deliberate differences: `flagged` always stands there, nulls and a count of no output do not; a total that the provider
    (Mistral) does not add up from the others is added up."""
    results = [{"flagged": any(result["categories"].values()), **result} for result in recorded["results"]]
    value = {**recorded, "results": results}
    if "usage" in value:
        usage = {key: held for key, held in value["usage"].items() if held is not None and key != "completion_tokens"}
        value["usage"] = usage | {"total_tokens": usage["prompt_tokens"]}
    return value


SENT = [entry for entry in RECORDED if entry.id not in NOT_SPOKEN and entry.load().request_json is not None]


@pytest.mark.parametrize("entry", SENT, ids=lambda entry: entry.id)
def test_recorded_requests_lose_nothing(entry: Entry) -> None:
    sent = entry.load().request_json
    written, warnings, _ = DIALECT.encode_request(DIALECT.decode_request(body(**sent)))
    one = isinstance(sent["input"], str)  # deliberate difference: one text is a list of one
    assert (written, warnings) == ({**sent, "input": [sent["input"]] if one else sent["input"]}, ())


# ------------------------------------------------------------------------------------------------------------------ tables
@pytest.mark.parametrize(
    ("given_", "held"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ([{"type": "text", "text": "a"}], (TextPart(text="a"),)),
        (
            [{"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}}],
            (MediaPart(kind="image", url="https://a/b.png", detail="low"),),
        ),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}}],
            (MediaPart(kind="image", media_type="image/png", data="QQ=="),),
        ),
    ],
)
def test_inputs(given_: Any, held: Any) -> None:
    assert DIALECT.decode_request(body(input=given_)) == ModerationRequest(input=held)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"{", "the body is no JSON"),
        (body(), "input: expected a text, an array of texts, or an array of parts .*, found nothing"),
        (body(input=[]), "input: expected a text"),
        (body(input=3), "input: expected a text.*found integer"),
        (body(input=["a", 3]), r"input\[0\]: expected an object, found string"),
        (body(input=[{"type": "audio"}]), r"input\[0\].type: expected one of text, image_url"),
        (body(input=[{"type": "text", "text": "a", "x": 1}]), r"input\[0\].x: this field is not known here"),
        (body(input=[{"type": "image_url", "image_url": "https://a"}]), r"input\[0\].image_url: expected an object"),
        (body(input=[{"type": "image_url", "image_url": {}}]), r"input\[0\].image_url.url: expected a string, found nothing"),
        (body(input="a", model=3), "model: expected a string, found integer"),
    ],
)
def test_bad_requests(sent: bytes, said: str) -> None:
    with pytest.raises(BadRequestError, match=said):
        DIALECT.decode_request(sent)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"{", "the answer is no JSON"),
        (b"{}", "the answer is no object with an array `results`"),
        (b'{"results": [3]}', r"results\[0\] is no judgement"),
        (b'{"results": [{"categories": {"a": 3}}]}', r"results\[0\] is no judgement"),
    ],
)
def test_answers_that_make_no_sense(answer: bytes, said: str) -> None:
    with pytest.raises(ResponseDecodeError, match=said):
        DIALECT.decode_response(answer)
    assert DIALECT.read_usage(answer) is None


def test_flagged_is_worked_out_where_nobody_says_so_and_unjudged_categories_are_left_out() -> None:
    results = [{"categories": {"a": True, "b": None}, "category_scores": {"a": 1, "b": None}}, {"categories": {"a": False}}]
    answer = DIALECT.decode_response(body(id="i", results=results))
    assert [result.flagged for result in answer.results] == [True, False]
    assert (answer.results[0].categories, answer.results[0].category_scores) == ({"a": True}, {"a": 1.0})


def test_an_error_inside_a_200_and_one_with_its_status() -> None:
    failure = body(error={"message": "no key", "code": 401})
    with pytest.raises(AuthenticationError, match="no key"):
        DIALECT.decode_response(failure)
    assert isinstance(error_for(401, DIALECT.decode_error(401, failure)), AuthenticationError)


def test_the_relay_edits_the_model_and_nothing_else() -> None:
    envelope = decode_envelope(b'{"input": [ "a" ], "model": "x"}')
    edited = DIALECT.edit_request(envelope, model="m", want_usage=True)
    assert {key: bytes(value) for key, value in edited.items()} == {"input": b'[ "a" ]', "model": b'"m"'}


# -------------------------------------------------------------------------------------------------------------- properties
PARTS = st.builds(TextPart, text=st.text(max_size=5)) | st.sampled_from(
    [
        MediaPart(kind="image", url="https://a/b.png"),
        MediaPart(kind="image", media_type="image/png", data="QQ==", detail="high"),
    ]
)
ASKED = st.builds(
    ModerationRequest,
    model=st.text(max_size=5),
    input=st.lists(st.text(max_size=5), min_size=1, max_size=3).map(tuple) | st.lists(PARTS, min_size=1, max_size=3).map(tuple),
    extra=st.just({}) | st.just({"openai_moderations": {"x": [1]}}),
)
NAMES = st.sampled_from(["hate", "hate/threatening", "violence"])
ANSWERED = st.builds(
    ModerationResponse,
    model=st.text(max_size=5),
    id=st.none() | st.text(min_size=1, max_size=5),
    results=st.lists(
        st.builds(
            ModerationResult,
            flagged=st.booleans(),
            categories=st.dictionaries(NAMES, st.booleans()),
            category_scores=st.dictionaries(NAMES, st.floats(0, 1)),
            applied_input_types=st.none() | st.dictionaries(NAMES, st.just(("text", "image"))),
            extra=st.just({}) | st.just({"openai_moderations": {"x": 1}}),
        ),
        max_size=3,
    ).map(tuple),
    usage=st.none() | st.builds(Usage, input_tokens=st.integers(1, 9)),
)


@given(ASKED)
def test_requests_there_and_back(request: ModerationRequest) -> None:
    written, warnings, _ = DIALECT.encode_request(request)
    assert warnings == ()
    assert DIALECT.decode_request(json.dumps(written).encode()) == request


@given(ANSWERED)
def test_answers_there_and_back(response: ModerationResponse) -> None:
    assert DIALECT.decode_response(DIALECT.encode_response(response, now=0)) == response
