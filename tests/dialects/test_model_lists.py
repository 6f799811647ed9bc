"""Lists of models: every recorded one, the three shapes they are served in, and the facts that each shape tells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import AuthenticationError, BadRequestError, ResponseDecodeError, error_for
from dragoman.core.operations import ListedModel, ModelListing
from dragoman.dialects import model_lists, registry
from support.recordings import Entry, exchanges

SPOKEN_BY = {"anthropic": "anthropic_models", "gemini": "gemini_models", "cohere": "cohere_models"}
NOT_SPOKEN = {
    "bedrock-models-plain-f3302b96",  # at another host than models are asked at
    "ollama-models-plain-52de62af",  # what one model is made of
    "ollama-models-plain-64f5a269",
    "ollama-models-plain-stream-6b032988",  # a download
    *(entry.id for entry in exchanges("models", provider="replicate")),  # pages of single models and their versions
}
RECORDED = [entry for entry in exchanges("models") if entry.id not in NOT_SPOKEN]


def dialect_of(entry: Entry) -> Any:
    return registry.get(SPOKEN_BY.get(entry.provider, "openai_models"))


@pytest.mark.parametrize("entry", [entry for entry in RECORDED if entry.status == 200], ids=lambda entry: entry.id)
def test_recorded_lists(entry: Entry) -> None:
    recorded = entry.load()
    listing = dialect_of(entry).decode_response(recorded.response_bytes)
    value = recorded.response_json
    items = value.get("data", value.get("models", [value]))
    names = [item.get("id") or item["name"].removeprefix("models/") for item in items]
    assert [model.id for model in listing.models] == names
    assert listing.next_page == (value.get("nextPageToken") or (value["last_id"] if value.get("has_more") else None))
    for served in ("openai_models", "anthropic_models", "gemini_models"):
        dialect = registry.get(served)
        written = dialect.encode_response(listing, now=7)
        assert [model.id for model in dialect.decode_response(written).models] == names


@pytest.mark.parametrize(
    "entry",
    [entry for entry in RECORDED if entry.status == 200 and entry.provider in {"openai", "anthropic", "gemini", "cerebras"}],
    ids=lambda entry: entry.id,
)
def test_recorded_lists_go_out_as_they_came(entry: Entry) -> None:
    recorded = entry.load()
    dialect = dialect_of(entry)
    listing = dialect.decode_response(recorded.response_bytes)
    value = recorded.response_json
    written = json.loads(dialect.encode_response(listing, now=7))
    key = "models" if "models" in written else "data"
    expected = value.get(key, [value])  # a model alone is a list of one
    assert [{name: model[name] for name in item} for model, item in zip(written[key], expected, strict=True)] == expected


@pytest.mark.parametrize("entry", [entry for entry in RECORDED if entry.status != 200], ids=lambda entry: entry.id)
def test_recorded_failures(entry: Entry) -> None:
    recorded = entry.load()
    detail = dialect_of(entry).decode_error(recorded.status, recorded.response_bytes)
    kind = AuthenticationError if recorded.status == 401 else BadRequestError
    assert isinstance(error_for(recorded.status, detail), kind)
    assert detail.message in json.dumps(recorded.response_json)


# ------------------------------------------------------------------------------------------------------------------- facts
@pytest.mark.parametrize(
    ("dialect", "answer", "model"),
    [
        ("openai_models", {"data": [{"id": "m", "created": 5, "owned_by": "o"}]}, {"created": 5, "owned_by": "o"}),
        (
            "openai_models",
            {"data": [{"id": "m", "name": "M", "context_length": 10, "top_provider": {"x": 1}}]},
            {"name": "M", "context_window": 10, "extra": {"openai_models": {"top_provider": {"x": 1}}}},
        ),
        ("openai_models", {"data": [{"id": "m", "max_model_len": 9, "created": "?"}]}, {"context_window": 9}),
        (
            "anthropic_models",
            {"data": [{"type": "model", "id": "m", "display_name": "M", "created_at": "1970-01-01T00:01:00Z"}]},
            {"name": "M", "created": 60},
        ),
        (
            "gemini_models",
            {"models": [{"name": "models/m", "displayName": "M", "inputTokenLimit": 8, "outputTokenLimit": 4}]},
            {"name": "M", "context_window": 8, "max_output_tokens": 4},
        ),
        (
            "ollama_models",
            {"models": [{"name": "m", "model": "m", "modified_at": "1970-01-01T00:00:09.5+00:00", "size": 3}]},
            {"created": 9, "extra": {"ollama_models": {"size": 3}}},
        ),
        (
            "cohere_models",
            {"models": [{"name": "m", "endpoints": ["chat"], "context_length": 6}]},
            {"context_window": 6, "extra": {"cohere_models": {"endpoints": ["chat"]}}},
        ),
    ],
)
def test_facts(dialect: str, answer: Any, model: dict[str, Any]) -> None:
    listing = registry.get(dialect).decode_response(json.dumps(answer).encode())
    assert listing == ModelListing(models=(ListedModel(id="m", **model),))


@pytest.mark.parametrize(
    ("dialect", "first", "second"),
    [
        ("openai_models", "/models", "/models"),
        ("anthropic_models", "/v1/models?limit=1000", "/v1/models?limit=1000&after_id=a%2Fb"),
        ("gemini_models", "/models?pageSize=1000", "/models?pageSize=1000&pageToken=a%2Fb"),
        ("ollama_models", "/api/tags", "/api/tags"),
        ("cohere_models", "/v1/models?page_size=1000", "/v1/models?page_size=1000&page_token=a%2Fb"),
    ],
)
def test_pages_are_asked_for_with_get(dialect: str, first: str, second: str) -> None:
    found = registry.get(dialect)
    assert (found.name, found.method) == (dialect, "GET")
    assert (found.path(), found.page(None), found.page("a/b")) == (first, first, second)


@pytest.mark.parametrize("dialect", sorted(set(model_lists.LISTED_IN.values())))
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"{", "the answer is no JSON"),
        (b'{"data": 3, "models": 3}', "the answer holds no array"),
        (b'{"data": [3], "models": [3]}', "model 0 of the list has no"),
        (b'{"data": [{}], "models": [{}]}', "model 0 of the list has no"),
    ],
)
def test_answers_that_make_no_sense(dialect: str, answer: bytes, said: str) -> None:
    with pytest.raises(ResponseDecodeError, match=said):
        registry.get(dialect).decode_response(answer)


def test_a_model_that_nobody_knows_more_of() -> None:
    listing = ModelListing(models=(ListedModel(id="m"),))
    assert json.loads(registry.get("openai_models").encode_response(listing, now=7)) == {
        "object": "list",
        "data": [{"id": "m", "object": "model", "created": 7, "owned_by": "dragoman"}],
    }
    assert json.loads(registry.get("anthropic_models").encode_response(listing, now=7)) == {
        "data": [{"type": "model", "id": "m", "display_name": "m", "created_at": "1970-01-01T00:00:00Z"}],
        "has_more": False,
        "first_id": "m",
        "last_id": "m",
    }
    assert json.loads(registry.get("gemini_models").encode_response(listing, now=7)) == {
        "models": [{"name": "models/m", "displayName": "m"}]
    }


IDS = st.text("abc-", min_size=1, max_size=4)
COUNTS = st.none() | st.integers(1, 99)


@given(
    st.lists(
        st.builds(
            ListedModel,
            id=IDS,
            name=st.none() | IDS,
            created=st.integers(1, 9),
            owned_by=IDS,
            description=st.none() | IDS,
            context_window=COUNTS,
            max_output_tokens=COUNTS,
        ),
        max_size=3,
    ).map(tuple)
)
def test_openai_lists_there_and_back(models: tuple[ListedModel, ...]) -> None:
    listing = ModelListing(models=models)
    dialect = registry.get("openai_models")
    assert dialect.decode_response(dialect.encode_response(listing, now=0)) == listing
