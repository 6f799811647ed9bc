"""The admin API as Starlette routes: keys, users, teams, organisations, budgets, customers, tags, models, credentials,
spending, the audit log.

LiteLLM's paths and field names, so its programs and habits work; denied by default. `routes(desk)` goes into the app of the
other pages. Nothing here answers inference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from starlette.routing import Route

from dragoman.gateway.admin import credentials, keys, models, places, spend
from dragoman.gateway.admin.desk import Ask, Desk, endpoint
from dragoman.gateway.admin.openapi import Row, document

_KEYS: tuple[Row, ...] = (
    ("POST", "/key/generate", keys.generate),
    ("GET", "/key/info", keys.info),
    ("GET", "/key/list", keys.listed),
    ("POST", "/key/update", keys.update),
    ("POST", "/key/delete", keys.delete),
    ("POST", "/key/regenerate", keys.regenerate),
    ("POST", "/key/{key}/regenerate", keys.regenerate),
    ("POST", "/key/block", keys.blocking(blocked=True)),
    ("POST", "/key/unblock", keys.blocking(blocked=False)),
    ("POST", "/team/member_add", places.member_add),
    ("POST", "/team/member_update", places.member_update),
    ("POST", "/team/member_delete", places.member_delete),
)

_SPEND: tuple[Row, ...] = (
    ("GET", "/spend/logs", spend.logs),
    ("GET", "/spend/keys", spend.by("key")),
    ("GET", "/spend/users", spend.by("user")),
    ("GET", "/spend/tags", spend.by("tag")),
    ("GET", "/global/spend", spend.total),
    ("GET", "/global/spend/logs", spend.by("day")),
    ("GET", "/global/spend/keys", spend.by("key")),
    ("GET", "/global/spend/teams", spend.by("team")),
    ("GET", "/global/spend/models", spend.by("model")),
    ("GET", "/global/spend/provider", spend.by("provider")),
    ("GET", "/global/spend/tags", spend.by("tag")),
    ("GET", "/global/spend/end_users", spend.by("end_user")),
    ("GET", "/global/spend/report", spend.grouped("team")),
    ("GET", "/usage", spend.grouped("day")),
    ("GET", "/ledger/verify", spend.verify),
    ("GET", "/audit", spend.audit),
)


_MODELS: tuple[Row, ...] = (
    ("POST", "/model/new", models.new),
    ("POST", "/model/update", models.update),
    ("PATCH", "/model/{model_id}/update", models.update),
    ("POST", "/model/delete", models.delete),
    ("GET", "/model/info", models.info),
    ("GET", "/v1/model/info", models.info),
    ("POST", "/credentials", credentials.new),
    ("GET", "/credentials", credentials.listed),
    ("GET", "/credentials/by_name/{credential_name}", credentials.info),
    ("PATCH", "/credentials/{credential_name}", credentials.update),
    ("DELETE", "/credentials/{credential_name}", credentials.delete),
)


def table() -> tuple[Row, ...]:
    """Method, path and handler of everything there is."""
    return (*_KEYS, *_places(), *_MODELS, *_SPEND)


def routes(desk: Desk) -> list[Route]:
    described = document(table())

    async def openapi(_: Desk, __: Ask) -> Any:
        """What the admin API can be asked."""
        return described

    rows = (*table(), ("GET", "/admin/openapi.json", openapi))
    return [Route(path, endpoint(desk, handler), methods=[method]) for method, path, handler in rows]


def _places() -> Iterator[Row]:
    for name, place in places.PLACES.items():
        yield "POST", f"/{name}/new", place.new
        yield "GET", f"/{name}/info", place.info
        yield "POST", f"/{name}/info", place.info
        yield "POST", f"/{name}/update", place.update
        yield "PATCH", f"/{name}/update", place.update
        yield "POST", f"/{name}/delete", place.delete
        yield "DELETE", f"/{name}/delete", place.delete
        yield "GET", f"/{name}/list", place.listed
        yield "POST", f"/{name}/block", place.block
        yield "POST", f"/{name}/unblock", place.unblock
