"""Reranking: recorded answers and requests of every vendor, the gateway's own dialect, and what is done for vendors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dragoman.core.chat import Usage
from dragoman.core.errors import BadRequestError, RateLimitError, ResponseDecodeError, error_for
from dragoman.core.json import decode_envelope
from dragoman.core.operations import RerankRequest, RerankResponse, RerankResult
from dragoman.dialects import registry
from dragoman.dialects.rerank import DIALECT
from dragoman.dialects.rerank_wire import fitted
from support.recordings import Entry, exchanges

SPOKEN_BY = {
    "cohere": "cohere_rerank",
    "llamacpp": "jina_rerank",
    "openrouter": "jina_rerank",
    "together": "jina_rerank",
    "voyage": "voyage_rerank",
}
RECORDED = [entry for kind in ("rerank", "rerank_v1", "rerank_v2") for entry in exchanges(kind)]
UPSTREAM = ("cohere_rerank", "jina_rerank", "voyage_rerank", "tei_rerank", "nvidia_rerank")


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


# -------------------------------------------------------------------------------------------------------------- recordings
@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry.id)
def test_recorded_answers(entry: Entry) -> None:
    recorded = entry.load()
    answer = registry.get(SPOKEN_BY[entry.provider]).decode_response(recorded.response_bytes)
    value = recorded.response_json
    items = value.get("results", value.get("data"))
    assert [(result.index, result.relevance_score) for result in answer.results] == [
        (item["index"], item["relevance_score"]) for item in items
    ]
    assert [result.document for result in answer.results] == [item.get("document") or None for item in items]
    assert (answer.id, answer.model) == (value.get("id"), value.get("model", ""))
    assert answer.search_units == billed(value).get("search_units")
    tokens = value.get("usage", {}).get("total_tokens")
    assert (None if tokens is None else answer.usage.total_tokens) == tokens


def billed(value: dict[str, Any]) -> dict[str, Any]:
    return value["meta"]["billed_units"] if "meta" in value else value["usage"]


@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry.id)
def test_recorded_answers_go_out_in_our_shape(entry: Entry) -> None:
    recorded = entry.load()
    answer = registry.get(SPOKEN_BY[entry.provider]).decode_response(recorded.response_bytes)
    assert DIALECT.decode_response(DIALECT.encode_response(answer, now=0)).results == answer.results
    written = json.loads(DIALECT.encode_response(answer, now=0))
    for name in ("results", "id", "model"):
        if name in recorded.response_json:
            assert written[name] == without_empty_documents(recorded.response_json[name])


def without_empty_documents(value: Any) -> Any:
    """Deliberate difference: a document that is an empty object is none."""
    if not isinstance(value, list):
        return value
    return [{key: held for key, held in item.items() if held != {}} for item in value]


REQUESTS = [entry for entry in RECORDED if entry.load().request_json is not None]
REFUSED = {
    "llamacpp-rerank-plain-94c600c5": "top_n: expected an integer from 1, found 0",
    "cohere-rerank_v1-plain-b582aa98": "model: expected a string, found nothing",  # version 1 had a default
}


@pytest.mark.parametrize("entry", [entry for entry in REQUESTS if entry.id not in REFUSED], ids=lambda entry: entry.id)
def test_recorded_requests_lose_nothing(entry: Entry) -> None:
    sent = {key: value for key, value in entry.load().request_json.items() if value is not None}
    dialect = registry.get(SPOKEN_BY[entry.provider])
    native = {"truncation", "max_chunks_per_doc"} & sent.keys()
    known = {"top_n" if key == "top_k" else key: value for key, value in sent.items() if key not in native}
    request = DIALECT.decode_request(body(**known))
    extra = {dialect.name: {key: sent[key] for key in native}} if native else {}
    written, warnings, _ = dialect.encode_request(replace(request, extra=extra))
    written.pop("return_documents", None)  # deliberate: Jina's kind is told not to repeat documents
    assert (json.loads(json.dumps(written)), warnings) == (sent, ())


@pytest.mark.parametrize("entry", [entry for entry in REQUESTS if entry.id in REFUSED], ids=lambda entry: entry.id)
def test_recorded_requests_that_make_no_sense_here(entry: Entry) -> None:
    with pytest.raises(BadRequestError, match=REFUSED[entry.id]):
        DIALECT.decode_request(body(**entry.load().request_json))


# ----------------------------------------------------------------------------------------------------- requests to vendors
FULL = RerankRequest(
    model="m",
    query="q",
    documents=("a", {"text": "b"}, {"title": "t", "body": "c", "page": 3}),
    top_n=2,
    return_documents=True,
    rank_fields=("title", "page"),
    max_tokens_per_doc=9,
)
TEXTS = ["a", "b", "title: t\npage: 3\n"]


@pytest.mark.parametrize(
    ("name", "written", "lost"),
    [
        (
            "cohere_rerank",
            {"model": "m", "query": "q", "documents": TEXTS, "top_n": 2, "max_tokens_per_doc": 9},
            ["documents"],
        ),
        (
            "jina_rerank",
            {"model": "m", "query": "q", "documents": TEXTS, "top_n": 2, "return_documents": False},
            ["documents", "max_tokens_per_doc"],
        ),
        ("voyage_rerank", {"model": "m", "query": "q", "documents": TEXTS, "top_k": 2}, ["documents", "max_tokens_per_doc"]),
        ("tei_rerank", {"query": "q", "texts": TEXTS}, ["documents", "max_tokens_per_doc"]),
        (
            "nvidia_rerank",
            {"model": "m", "query": {"text": "q"}, "passages": [{"text": text} for text in TEXTS]},
            ["documents", "max_tokens_per_doc"],
        ),
    ],
)
def test_a_full_request(name: str, written: dict[str, Any], lost: list[str]) -> None:
    encoded = registry.get(name).encode_request(FULL)
    assert encoded.body == written
    assert [warning.field for warning in encoded.warnings] == lost


def test_jina_ranks_pictures_and_others_say_so() -> None:
    request = RerankRequest(
        model="m", query={"image": "https://a/q.png"}, documents=({"image": "https://a/b.png"}, {"text": "a"})
    )
    assert registry.get("jina_rerank").encode_request(request).body["documents"] == list(request.documents)
    for name in set(UPSTREAM) - {"jina_rerank"}:
        with pytest.raises(BadRequestError, match=r"image: only texts can be ranked here"):
            registry.get(name).encode_request(request)


@pytest.mark.parametrize("name", [*UPSTREAM, "rerank"])
def test_foreign_fields_are_reported(name: str) -> None:
    request = RerankRequest(model="m", query="q", documents=("a",), extra={"other": {"x": 1}, name: {"y": 2}})
    encoded = registry.get(name).encode_request(request)
    assert encoded.body["y"] == 2
    assert [warning.field for warning in encoded.warnings] == ["extra.other.x"]


# ----------------------------------------------------------------------------------------------------------------- answers
@pytest.mark.parametrize(
    ("name", "answer", "results"),
    [
        ("tei_rerank", [{"index": 1, "score": 0.9}, {"index": 0, "score": 0.1, "text": "a"}], [(1, 0.9), (0, 0.1)]),
        ("nvidia_rerank", {"rankings": [{"index": 0, "logit": 2.5}, {"index": 1, "logit": -1}]}, [(0, 2.5), (1, -1.0)]),
        ("jina_rerank", {"data": [{"index": 1, "relevance_score": 1, "document": "a"}]}, [(1, 1.0)]),
        (
            "jina_rerank",
            {"results": [{"index": 0, "relevance_score": 0}, {"index": 1, "relevance_score": 1}]},
            [(1, 1), (0, 0)],
        ),
        ("cohere_rerank", {"results": []}, []),
    ],
)
def test_answers_in_all_shapes(name: str, answer: Any, results: list[tuple[int, float]]) -> None:
    decoded = registry.get(name).decode_response(json.dumps(answer).encode())
    assert [(result.index, result.relevance_score) for result in decoded.results] == results


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"{", "the answer is no JSON"),
        (b"3", "the answer is no object but integer"),
        (b"{}", "the answer holds no array results or data or rankings"),
        (b'{"results": [3]}', r"results\[0\] is no object but integer"),
        (b'{"results": [{"index": 0}]}', r"results\[0\] has no index and score"),
        (b'{"results": [{"index": -1, "relevance_score": 1}]}', r"results\[0\] has no index and score"),
        (b'{"results": [{"index": 0, "relevance_score": true}]}', r"results\[0\] has no index and score"),
    ],
)
@pytest.mark.parametrize("name", UPSTREAM)
def test_answers_that_make_no_sense(name: str, answer: bytes, said: str) -> None:
    with pytest.raises(ResponseDecodeError, match=said):
        registry.get(name).decode_response(answer)


def test_an_error_inside_a_200() -> None:
    with pytest.raises(RateLimitError, match="slow down"):
        registry.get("jina_rerank").decode_response(body(error={"message": "slow down", "code": 429}))


def test_cohere_tokens_are_counted_where_there_are_some() -> None:
    meta = {"billed_units": {"search_units": 1}, "tokens": {"input_tokens": 5, "output_tokens": 0}}
    answer = registry.get("cohere_rerank").decode_response(body(results=[], meta=meta))
    assert (answer.usage.input_tokens, answer.search_units) == (5, 1)


def test_errors() -> None:
    detail = registry.get("cohere_rerank").decode_error(429, body(message="too many"))
    assert isinstance(error_for(429, detail), RateLimitError)
    assert detail.message == "too many"


# ----------------------------------------------------------------------------------------------------------------- fitting
RESULTS = tuple(RerankResult(index=index, relevance_score=0.5) for index in (2, 0, 1))


@pytest.mark.parametrize(
    ("wanted", "usual", "documents"),
    [
        (None, False, [None, None]),
        (None, True, [{"title": "c"}, {"text": "a"}]),
        (True, False, [{"title": "c"}, {"text": "a"}]),
        (False, True, [None, None]),
    ],
)
def test_no_more_than_wanted_and_documents_where_wanted(wanted: bool | None, usual: bool, documents: list[Any]) -> None:
    request = RerankRequest(model="m", query="q", documents=("a", "b", {"title": "c"}), top_n=2, return_documents=wanted)
    answer = fitted(RerankResponse(model="m", results=RESULTS), request, return_documents=usual)
    assert [result.document for result in answer.results] == documents


def test_a_document_nobody_sent() -> None:
    request = RerankRequest(model="m", query="q", documents=("a",), return_documents=True)
    with pytest.raises(ResponseDecodeError, match="a result names document 2, and 1 were sent"):
        fitted(RerankResponse(model="m", results=RESULTS), request)


def test_documents_that_came_unasked_are_left_out() -> None:
    held = RerankResult(index=0, relevance_score=1, document={"text": "a"})
    request = RerankRequest(model="m", query="q", documents=("a",))
    assert fitted(RerankResponse(model="m", results=(held,)), request).results[0].document is None


# -------------------------------------------------------------------------------------------------- the gateway's own dialect
@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (b"{", "the body is no JSON"),
        (b"[]", "expected an object, found array"),
        (body(query="q", documents=["a"]), "model: expected a string, found nothing"),
        (body(model="m", documents=["a"]), "query: expected a text, or an object with fields, found nothing"),
        (body(model="m", query="q"), "documents: expected an array of texts or objects that is not empty"),
        (body(model="m", query="q", documents=[]), "documents: expected an array"),
        (
            body(model="m", query="q", documents=["a", 3]),
            r"documents\[1\]: expected a text, or an object with fields, found int",
        ),
        (body(model="m", query="q", documents=["a"], top_n=0), "top_n: expected an integer from 1, found 0"),
        (body(model="m", query="q", documents=["a"], top_n="2"), "top_n: expected an integer, found string"),
        (body(model="m", query="q", documents=["a"], rank_fields=[1]), r"rank_fields\[0\]: expected a string, found integer"),
        (body(model="m", query="q", documents=["a"], return_documents=1), "return_documents: expected a boolean"),
    ],
)
def test_bad_requests(sent: bytes, said: str) -> None:
    with pytest.raises(BadRequestError, match=said):
        DIALECT.decode_request(sent)


def test_the_answer_is_cohere_s_and_says_what_jina_s_clients_look_for() -> None:
    response = RerankResponse(model="m", id="i", results=RESULTS[:1], usage=Usage(input_tokens=7), search_units=1.0)
    request = RerankRequest(model="m", query="q", documents=("a", "b", "c"), return_documents=True)
    written, media_type = DIALECT.encode_answer(response, request, now=0)
    assert media_type == "application/json"
    assert json.loads(written) == {
        "id": "i",
        "results": [{"index": 2, "relevance_score": 0.5, "document": {"text": "c"}}],
        "meta": {
            "api_version": {"version": "2"},
            "billed_units": {"search_units": 1},
            "tokens": {"input_tokens": 7, "output_tokens": 0},
        },
        "model": "m",
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    }


def test_what_is_relayed_to_another_gateway() -> None:
    envelope = decode_envelope(b'{"documents": [ "a" ], "model": "x"}')
    edited = DIALECT.edit_request(envelope, model="m", want_usage=True)
    assert {key: bytes(value) for key, value in edited.items()} == {"documents": b'[ "a" ]', "model": b'"m"'}
    assert DIALECT.read_usage(body(results=[], usage={"total_tokens": 5})) == Usage(input_tokens=5)
    assert DIALECT.read_usage(b"{") is None


DOCUMENT = st.text(max_size=5) | st.dictionaries(st.text(max_size=4), st.text(max_size=4), min_size=1, max_size=3)
ASKED = st.builds(
    RerankRequest,
    model=st.text(max_size=5),
    query=st.text(max_size=5),
    documents=st.lists(DOCUMENT, min_size=1, max_size=4).map(tuple),
    top_n=st.none() | st.integers(1, 9),
    return_documents=st.none() | st.booleans(),
    rank_fields=st.lists(st.text(max_size=3), max_size=2).map(tuple),
    max_tokens_per_doc=st.none() | st.integers(1, 9),
    extra=st.just({}) | st.just({"rerank": {"max_chunks_per_doc": 3}}),
)


@given(ASKED)
def test_requests_there_and_back(request: RerankRequest) -> None:
    written, warnings, _ = DIALECT.encode_request(request)
    assert warnings == ()
    assert DIALECT.decode_request(json.dumps(written).encode()) == request


ANSWERED = st.builds(
    RerankResponse,
    model=st.text(max_size=5),
    id=st.none() | st.text(min_size=1, max_size=5),
    results=st.lists(
        st.builds(
            RerankResult,
            index=st.integers(0, 9),
            relevance_score=st.floats(-9, 9),
            document=st.none() | st.dictionaries(st.text(max_size=3), st.text(max_size=3), min_size=1, max_size=2),
        ),
        max_size=4,
    ).map(lambda results: tuple(sorted(results, key=lambda result: -result.relevance_score))),
    usage=st.none() | st.builds(Usage, input_tokens=st.integers(1, 99), output_tokens=st.integers(0, 9)),
    search_units=st.none() | st.floats(0, 9),
)


@given(ANSWERED)
def test_answers_there_and_back(response: RerankResponse) -> None:
    assert DIALECT.decode_response(DIALECT.encode_response(response, now=0)) == response
