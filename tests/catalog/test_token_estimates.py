"""The estimator's error against OpenAI's o200k_base, script by script; and the tokenizer itself, without a network.

The bounds are the measured errors, rounded up. `fitted` are texts that the estimator was calibrated on (with much other
text), `held_out` texts that it was not, but for the share of Han characters, for which both were looked at.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.catalog import tokenizer
from dragoman.catalog.estimate import estimate
from dragoman.core.errors import ConfigurationError

SAMPLES = tomllib.loads((Path(__file__).parents[1] / "golden" / "text_samples.toml").read_text(encoding="utf-8"))
needs_tokenizer = pytest.mark.skipif(not tokenizer.available(), reason="the extra `tokens` is not installed")


def exact(text: str) -> int:
    return len(tokenizer.encoding("o200k_base").encode_ordinary(text))


BOUNDS = [
    *((name, "fitted", 0.18 if name == "traditional chinese" else 0.13) for name in SAMPLES["fitted"]),
    *((name, "held_out", 0.17) for name in SAMPLES["held_out"]),
]


@needs_tokenizer
@pytest.mark.parametrize(("name", "part", "bound"), BOUNDS, ids=[f"{part}-{name}" for name, part, _ in BOUNDS])
def test_error_of_the_estimate(name: str, part: str, bound: float) -> None:
    text = SAMPLES[part][name]
    assert abs(estimate(text) / exact(text) - 1) <= bound


@needs_tokenizer
@pytest.mark.parametrize(("part", "bound"), [("fitted", 0.05), ("held_out", 0.08)])
def test_mean_error_of_the_estimate(part: str, bound: float) -> None:
    errors = [abs(estimate(text) / exact(text) - 1) for text in SAMPLES[part].values()]
    assert sum(errors) / len(errors) <= bound


@needs_tokenizer
@pytest.mark.parametrize(
    ("model", "name", "tokens"),
    [
        ("gpt-4o", "o200k_base", [24912, 2375]),
        ("openai/gpt-5-mini", "o200k_base", [24912, 2375]),
        ("claude-sonnet-4-5", "o200k_base", [24912, 2375]),
        ("gpt-4", "cl100k_base", [15339, 1917]),
        ("gpt-4-0613", "cl100k_base", [15339, 1917]),
        ("gpt-3.5-turbo", "cl100k_base", [15339, 1917]),
        ("text-embedding-3-small", "cl100k_base", [15339, 1917]),
    ],
)
def test_the_encoding_of_a_model(model: str, name: str, tokens: list[int]) -> None:
    """The tokens of "hello world" are those that OpenAI's documentation shows."""
    assert tokenizer.encoding_name(model) == name
    assert tokenizer.encoding(name).encode_ordinary("hello world") == tokens


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, tokenizer.RANKS_PACKAGE, None)  # as if it were not installed
    with pytest.raises(ConfigurationError, match=r"dragoman\[tokens\]"):
        tokenizer.encoding("o200k_base")


@given(st.text(max_size=300))
def test_any_text_has_an_estimate_between_none_and_its_bytes(text: str) -> None:
    assert 0 <= estimate(text) <= 1.5 * len(text.encode("utf-8", "surrogatepass")) + 1


@given(st.text(alphabet="abc dé中я1.\n", max_size=100), st.integers(2, 5))
def test_more_text_has_more_tokens(text: str, times: int) -> None:
    assert estimate(text) <= estimate(text * times)
