"""What several workers lack to count together is said before they start, and in `dragoman check`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from dragoman.cli.app import app
from dragoman.core.errors import ConfigurationError
from dragoman.gateway.config import read
from dragoman.gateway.workers import advice

BASE = "models: [{name: m, model: local/smollm2-135m}]\nserver: {api_key: sk-master-of-this-test, workers: 4}\n"
SQLITE = "governance: {}\n"
POSTGRESQL = "governance: {database: 'postgresql://dragoman@db/dragoman'}\n"
SHARED = "shared: {url: 'redis://valkey:6379/0'}\n"
LIMITS, MACHINES = "limits for itself", "PostgreSQL"


@pytest.mark.parametrize(
    "text, workers, said",
    [
        (BASE, 4, []),
        (BASE + SQLITE, 1, []),
        (BASE + SQLITE, 4, [LIMITS, MACHINES]),
        (BASE + SQLITE + SHARED, 4, [MACHINES]),
        (BASE + POSTGRESQL, 4, [LIMITS]),
        (BASE + POSTGRESQL + SHARED, 4, []),
    ],
)
def test_what_is_said(text: str, workers: int, said: list[str]) -> None:
    config, _ = read(text, file="x.yaml", env={})
    found = advice(config, workers)
    assert len(found) == len(said)
    assert all(word in note for word, note in zip(said, found, strict=True))


@pytest.mark.parametrize("options, notes", [([], 2), (["--workers", "1"], 0)])
def test_check_says_it(tmp_path: Path, options: list[str], notes: int) -> None:
    (tmp_path / "x.yaml").write_text(BASE + SQLITE)
    found = CliRunner().invoke(app, ["check", "--config", str(tmp_path / "x.yaml"), *options], catch_exceptions=False)
    assert found.exit_code == 0
    assert found.output.count("note: ") == notes


@pytest.mark.parametrize("url", ["valkey:6379", "http://valkey:6379", ""])
def test_an_address_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"x\.yaml:3: shared\.url") as refused:
        read(BASE + f"shared: {{url: '{url}'}}\n", file="x.yaml", env={})
    assert not url or url not in refused.value.message
