"""The page on adding a provider: its Python and its YAML run, and the row and the entry point it shows make providers."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import dragoman
from dragoman.core.errors import AuthenticationError
from dragoman.gateway import config
from dragoman.providers import registry
from dragoman.providers.base import Provider
from dragoman.providers.registry import DEFAULT
from dragoman.providers.table_hosts import hosted

PAGE = (Path(__file__).parents[2] / "docs" / "adding-a-provider.md").read_text()
PYTHON, YAML = (re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL) for kind in ("python", "yaml"))


@pytest.fixture(autouse=True)
def providers_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "DEFAULT", DEFAULT)
    monkeypatch.setattr(dragoman, "custom_provider_map", [])


def test_the_python_on_the_page_runs_from_top_to_bottom():
    names: dict[str, object] = {}
    for block in PYTHON:
        exec(compile(block, "adding-a-provider.md", "exec"), names)
    assert len(PYTHON) == 6
    assert names["AuthenticationError"] is AuthenticationError


def test_the_configurations_on_the_page_are_read(tmp_path: Path):
    (tmp_path / "my_handlers.py").write_text("import dragoman\nclass MyLLM(dragoman.CustomLLM): ...\nmy_llm = MyLLM()\n")
    found = [config.read(text, file=str(tmp_path / "d.yaml"), env={"ACME_API_KEY": "k"})[1] for text in YAML]
    targets = [node.deployment.target for policy in found for name in policy.names for node in policy.find(name).nodes]
    assert [target.base_url for target in targets] == ["https://llm.acme.example/v1", "custom://my-llm"]


def test_the_entry_point_on_the_page_brings_a_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The package as it would be installed: its module, and the folder that says what it brings."""
    (module,) = [block for block in PYTHON if block.startswith("# acme_llm.py")]
    (group, entry) = re.findall(r"^    (\[project\.entry-points.*\]|acme = .*)$", PAGE, re.MULTILINE)
    (tmp_path / "acme_llm.py").write_text("import dragoman\n" + module)
    installed = tmp_path / "acme_llm-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Name: acme-llm\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[{group.split(chr(34))[1]}]\n{entry.replace(chr(34), '')}\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert registry.resolve("acme/small", env={"ACME_API_KEY": "k"}).base_url == "https://llm.acme.example/v1"


def test_the_row_on_the_page_makes_a_provider():
    (line,) = re.findall(r"^    (hosted\(.*\)),$", PAGE, re.MULTILINE)
    row = eval(line, {"hosted": hosted})
    target = DEFAULT.with_provider(row).resolve("acme/x", env={"ACME_API_KEY": "k", "ACME_API_BASE": "https://other.example"})
    assert (target.base_url, target.api_key) == ("https://other.example", "k")


def test_every_field_in_the_table_of_the_page_exists():
    column = re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    names = {name.split("=")[0] for cell in column for name in re.findall(r"`(?:quirks\.)?([a-z_=N]+)`", cell)}
    known = set(Provider.__struct_fields__) | set(type(Provider(name="x", base_url=None).quirks).__struct_fields__)
    assert names
    assert names <= known
