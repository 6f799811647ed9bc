"""The OpenAPI document of the admin API: it names every route there is, and a running gateway is held to it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from dragoman.gateway.admin import openapi, table
from support import schemathesis
from support.gateway import RunningGateway, gateway

MASTER = "sk-master-of-this-test"


def governed(folder: Path) -> Any:
    return gateway(f"""
models: [{{name: echo, model: demo/echo}}]
server: {{api_key: {MASTER}}}
governance: {{database: 'sqlite:///{folder}/ledger.db', journal: '{folder}/journal'}}
""")


def test_every_route_is_in_it_and_nothing_else() -> None:
    paths = openapi.document(table())["paths"]
    assert {(method.upper(), path) for path, methods in paths.items() for method in methods} == {
        (method, path) for method, path, _ in table()
    }


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does() -> None:
    operations = [each for methods in openapi.document(table())["paths"].values() for each in methods.values()]
    assert len({each["operationId"] for each in operations}) == len(operations)
    assert all(re.search(r"\w", each["summary"]) for each in operations)


@pytest.mark.parametrize(("key", "status"), [(MASTER, 200), ("sk-wrong-0123456789", 401)])
def test_it_is_shown_to_who_has_a_key(tmp_path: Path, key: str, status: int) -> None:
    with governed(tmp_path) as served, httpx2.Client(base_url=served.url) as client:
        found = client.get("/admin/openapi.json", headers={"authorization": f"Bearer {key}"})
    assert found.status_code == status
    assert ("paths" in found.json()) is (status == 200)


@schemathesis.needed
def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    served: RunningGateway
    with governed(tmp_path) as served:
        document, header = f"{served.url}/admin/openapi.json", f"authorization: Bearer {MASTER}"
        schemathesis.assert_nothing_is_found(document, header, tmp_path, examples=3)
