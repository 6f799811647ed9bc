"""The page on adding a provider: its Python runs, and the row it shows makes a provider."""

from __future__ import annotations

import re
from pathlib import Path

from dragoman.core.errors import AuthenticationError
from dragoman.providers.base import Provider
from dragoman.providers.registry import DEFAULT
from dragoman.providers.table_hosts import hosted

PAGE = (Path(__file__).parents[2] / "docs" / "adding-a-provider.md").read_text()


def test_the_python_on_the_page_runs_from_top_to_bottom():
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "adding-a-provider.md", "exec"), names)
    assert len(blocks) == 3
    assert names["AuthenticationError"] is AuthenticationError


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
