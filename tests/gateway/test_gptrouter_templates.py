"""Prompt templates: what is a place to fill, what is text, and what is missing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import BadRequestError
from dragoman.gateway.gptrouter.templates import fill, variables

GIVEN = {"topic": "tea", "n": 3, "other": "[topic]"}


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("about [topic]", "about tea"),
        ("about {{topic}} and {{ n }}", "about tea and 3"),
        ("[topic][topic]", "teatea"),
        ("[other]", "[topic]"),
        ("[topic]: go", "tea: go"),
        (r"\[topic] is \[text]", "[topic] is [text]"),
        ("[a link](http://x) [1] ['a', 'b'] [] [two words] [topic](x)", None),
        ('{"a": [1, 2]}', None),
        (
            {"messages": [{"role": "user", "content": "[topic]"}], "n": 2},
            {"messages": [{"role": "user", "content": "tea"}], "n": 2},
        ),
    ],
)
def test_places_are_filled_and_text_is_left_alone(template: Any, filled: Any) -> None:
    assert fill(template, GIVEN) == (template if filled is None else filled)


def test_all_that_is_missing_is_named_once() -> None:
    with pytest.raises(BadRequestError) as refused:
        fill("[who] [topic] {{who}} [when]", GIVEN)
    assert "missing who, when" in refused.value.message
    assert variables(["[who]", {"x": "{{when}} [who]"}]) == ["who", "when"]


@given(st.text(alphabet=st.characters(exclude_characters="[]{}\\")))
def test_text_without_brackets_is_itself(text: str) -> None:
    assert fill(text, {}) == text


@given(st.text())
def test_what_is_filled_in_is_never_a_template(value: str) -> None:
    assert fill("<[x]>", {"x": value}) == f"<{value}>"
