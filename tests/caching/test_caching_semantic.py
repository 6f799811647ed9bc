"""The index of questions: partitions apart, bounded, with numpy and without."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.caching import semantic
from dragoman.caching.semantic import MOST_COMPARED, MOST_WITHOUT_NUMPY, Index, Near, cosine, question, unit
from dragoman.core.chat import ChatRequest, MediaPart, Message, TextPart

X, Y, NEAR_X = unit((1, 0)), unit((0, 1)), unit((1, 0.1))


@pytest.fixture(params=[True, False], ids=["numpy", "plain"], autouse=True)
def numpy_or_none(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(semantic, "_numpy", lambda: None)


def found(near: Near | None) -> tuple[str, float] | None:
    return None if near is None else (near.key, round(near.similarity, 3))


def test_the_nearest_of_a_partition_is_found() -> None:
    index = Index(100)
    index.add("p", "x", X)
    index.add("p", "y", Y)
    assert found(index.nearest("p", NEAR_X)) == ("x", 0.995)
    assert index.nearest("another", NEAR_X) is None


def test_an_answer_that_is_gone_is_not_found_again() -> None:
    index = Index(100)
    index.add("p", "x", X)
    index.remove("p", "x")
    index.remove("p", "never there")
    assert (index.nearest("p", X), len(index)) == (None, 0)


def test_the_same_answer_stands_there_once() -> None:
    index = Index(100)
    index.add("p", "x", X)
    index.add("p", "x", Y)
    assert (found(index.nearest("p", Y)), len(index)) == (("x", 1.0), 1)


def test_a_partition_and_the_whole_are_bounded() -> None:
    index = Index(MOST_COMPARED + 10)
    for number in range(MOST_COMPARED + 5):
        index.add("p", f"{number}", X if number else Y)
    assert len(index) == MOST_COMPARED
    assert found(index.nearest("p", Y)) in {("5", 0.0), (f"{MOST_COMPARED + 5 - MOST_WITHOUT_NUMPY}", 0.0)}
    for number in range(20):
        index.add("q", f"{number}", X)
    assert len(index) == 20
    index.clear()
    assert len(index) == 0


def test_vectors_of_another_model_take_the_place_of_those_before() -> None:
    index = Index(100)
    index.add("p", "x", X)
    assert index.nearest("p", unit((1, 0, 0))) is None
    index.add("p", "long", unit((1, 0, 0)))
    assert (found(index.nearest("p", unit((1, 0, 0)))), index.nearest("p", X), len(index)) == (("long", 1.0), None, 1)


@settings(max_examples=50)
@given(vectors=st.lists(st.lists(st.floats(-5, 5, width=16), min_size=3, max_size=3).filter(any), min_size=1, max_size=6))
def test_the_nearest_is_the_one_of_the_greatest_cosine(vectors: list[list[float]]) -> None:
    index, units = Index(100), [unit(vector) for vector in vectors]
    for number, vector in enumerate(units):
        index.add("p", f"{number}", vector)
    near = index.nearest("p", units[0])
    assert near is not None
    assert near.similarity == pytest.approx(max(cosine(units[0], other) for other in units), abs=1e-5)


@pytest.mark.parametrize("vector", [(0.0, 0.0), (float("nan"), 1.0), (float("inf"), 1.0), ()])
def test_a_vector_without_a_direction_is_none(vector: Any) -> None:
    with pytest.raises(ValueError, match="no direction"):
        unit(vector)


def asked(*parts: Any, role: Any = "user") -> ChatRequest:
    return ChatRequest(model="m", messages=(Message(role="system", parts=()), Message(role=role, parts=parts)))


def test_a_question_is_the_text_of_the_last_turn_and_its_numbers() -> None:
    one, other = question(asked(TextPart(text="5 miles, 07"))), question(asked(TextPart(text="6 miles, 07")))
    assert one is not None
    assert other is not None
    assert (one.text, one.numbers, one.rest) == ("5 miles, 07", ("5", "07"), other.rest)


@pytest.mark.parametrize(
    "request_",
    [
        asked(TextPart(text="x"), MediaPart(kind="image", url="https://x.test")),
        asked(TextPart(text="x"), role="tool"),
        asked(TextPart(text="x"), role="assistant"),
        asked(TextPart(text=" ")),
        asked(),
        ChatRequest(model="m"),
        None,
    ],
)
def test_what_is_more_or_less_than_a_text_is_not_compared(request_: Any) -> None:
    assert question(request_) is None
