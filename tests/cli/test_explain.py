"""`dragoman explain` and `dragoman diff` say what a configuration would do, and never a secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dragoman.cli.app import app

CONFIG = """
models:
  - {name: fast, model: openai/gpt-4o-mini, api_key: key-of-openai}
  - {name: fast, model: groq/llama-3.3-70b-versatile, api_key: key-of-groq}
  - {name: fast, model: openai/gpt-4.1, api_key: key-of-openai, blocked: true}
  - {name: large, model: openai/gpt-4.1, api_key: key-of-openai}
router: {fallbacks: {fast: [large]}, context_window_fallbacks: {fast: [large]}}
"""
PICTURE = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}}]}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "dragoman.yaml"
    path.write_text(CONFIG)
    return path


def _run(*arguments: object, given: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], input=given)


def _explain(config: Path, body: dict[str, object]) -> str:
    found = _run("explain", "-", "--config", config, given=json.dumps(body))
    assert found.exit_code == 0, found.output
    return found.output


def test_the_order_the_drops_and_the_fallbacks_are_told_with_their_reasons(config: Path) -> None:
    told = _explain(config, {"model": "fast", "messages": [PICTURE]})
    assert "needs images" in told
    assert "1. fast#0  openai/gpt-4o-mini" in told
    assert "fast#1  not asked: it has no images" in told
    assert "fast#2  not asked: blocked by the configuration" in told
    assert "then, when all of them failed: large" in told
    assert "then, for a prompt that is too long: large" in told
    assert "key-of" not in told


def test_a_request_that_needs_nothing_special_may_go_to_all(config: Path) -> None:
    told = _explain(config, {"model": "fast", "messages": [{"role": "user", "content": "hello"}]})
    assert "needs nothing special" in told
    assert {"fast#0", "fast#1"} <= {word for line in told.splitlines() if ". " in line for word in line.split()}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("[]", "is not a JSON object"),
        ("{", "is not a JSON object"),
        ('{"messages": []}', "model: missing"),
        ('{"model": 7}', "model: missing"),
        ('{"model": "fats"}', "did you mean fast?"),
    ],
)
def test_what_is_no_request_is_said(config: Path, body: str, said: str) -> None:
    found = _run("explain", "-", "--config", config, given=body)
    assert found.exit_code != 0
    assert said in found.output + str(found.exception)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("blocked: true", "blocked: true, rpm: 5", "+ models[fast#2].rpm: 5"),
        ("api_key: key-of-groq", "api_key: another", "~ models[fast#1].api_key: (hidden) -> (hidden)"),
        ("router: {", "retries: 7\nrouter: {", "~ retries: 2 -> 7"),
        ("router: {", "server: {port: 9}\nrouter: {", "~ server.port: 4000 -> 9   (needs a restart)"),
        ("{fallbacks: {fast: [large]}, ", "{", '- router.fallbacks.fast: ["large"]'),
        ("router: {", "server: {api_key: x}\nrouter: {", "+ server.api_key: (hidden)"),
        ("router: {", "server: {drain_seconds: 9}\nrouter: {", "~ server.drain_seconds: 30 -> 9"),
        ("router: {", "timeouts: {first_token: 9}\nrouter: {", "~ timeouts.first_token: 600.0 -> 9.0"),
        ("router: {", "metrics: {by_key: 9}\nrouter: {", "~ metrics.by_key: 0 -> 9"),
    ],
)
def test_each_difference_is_one_line(config: Path, tmp_path: Path, old: str, new: str, line: str) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(CONFIG.replace(old, new, 1))
    found = _run("diff", config, other)
    assert (found.exit_code, found.output.splitlines()) == (1, [line])


def test_the_addresses_of_alerts_are_secrets(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(CONFIG + "alerts: {slack: 'https://hooks.test/s3cret', webhook: 'https://ops.test/s3cret'}\n")
    told = _run("diff", config, other).output
    assert "+ alerts.slack: (hidden)" in told
    assert "+ alerts.webhook: (hidden)" in told
    assert "s3cret" not in told


def test_a_file_of_litellm_is_compared_too(config: Path, tmp_path: Path) -> None:
    """On both sides, and with ours."""
    theirs, other = tmp_path / "config.yaml", tmp_path / "new.yaml"
    theirs.write_text("model_list: [{model_name: fast, litellm_params: {model: openai/gpt-4o-mini, api_key: key-of-openai}}]\n")
    other.write_text(theirs.read_text().replace("key-of-openai", "another, rpm: 5"))
    told = ["~ models[fast#0].api_key: (hidden) -> (hidden)", "+ models[fast#0].rpm: 5"]
    found = _run("diff", theirs, other)
    assert (found.exit_code, found.output.splitlines()) == (1, told)
    mixed = _run("diff", config, other)
    assert told[1] in mixed.output.splitlines()
    assert '- models[large#3].model: "openai/gpt-4.1"' in mixed.output.splitlines()
    assert "key-of" not in mixed.output
    assert _run("diff", theirs, theirs).output == "no difference\n"


def test_a_key_that_says_its_default_is_no_difference(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(CONFIG + "retries: 2\n")
    found = _run("diff", config, other)
    assert (found.exit_code, found.output) == (0, "no difference\n")


def test_a_configuration_that_is_wrong_is_an_error_with_its_line(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(CONFIG + "retires: 2\n")
    found = _run("diff", config, other)
    assert found.exit_code != 0
    assert f"{other}:8: retires: unknown key" in found.output + str(found.exception)
