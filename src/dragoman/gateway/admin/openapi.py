"""The admin API as an OpenAPI document, made of its route table and of the Structs that its bodies are read with. Pure.

Served at /admin/openapi.json, to any key: it tells what could be asked, and nothing of what there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

import dragoman
from dragoman.gateway.admin.credentials import CredentialAsked
from dragoman.gateway.admin.desk import MAX_PAGE, Handler
from dragoman.gateway.admin.models import ModelAsked, ModelNamed
from dragoman.gateway.admin.places import PLACES, Membership
from dragoman.gateway.admin.shapes import Asked
from dragoman.gateway.store.base import GROUPS

Row = tuple[str, str, Handler]

_TEXT = {"type": "string"}
_NAMES = {"anyOf": [{"type": "array", "items": _TEXT, "minItems": 1}, _TEXT]}
_DATE = {"type": "string", "description": "A day (2026-11-24) or a time in ISO 8601; UTC when it names no zone."}
_PAGES = {
    "page": {"type": "integer", "minimum": 1, "maximum": 10**9, "default": 1},
    "page_size": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE},
}
_WITHIN = {"user_id": _TEXT, "team_id": _TEXT, "organization_id": _TEXT}
_ROWS = {
    **_WITHIN,
    "api_key": _TEXT,
    "end_user": _TEXT,
    "model": _TEXT,
    "request_id": _TEXT,
    "session_id": _TEXT,
    "tag": _TEXT,
    "start_date": _DATE,
    "end_date": _DATE,
}
_GROUPED = {**_ROWS, "group_by": {"type": "string", "enum": [*GROUPS, "api_key", "customer"]}}
_QUERIES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("/key/info", {"key": _TEXT}),
    ("/key/list", {**_WITHIN, **_PAGES}),
    ("/spend/logs", {**_ROWS, **_PAGES}),
    ("/global/spend/report", _GROUPED),
    ("/usage", _GROUPED),
    ("/audit", {"after": {"type": "integer", "minimum": 1, "maximum": 10**15}}),
    ("/ledger/verify", {}),
    ("/model/info", {"litellm_model_id": _TEXT}),
    ("/v1/model/info", {"litellm_model_id": _TEXT}),
    ("/credentials", {}),
    *((f"/{name}/list", {**_WITHIN, **_PAGES}) for name in PLACES),
    *((f"/{name}/info", {place.id: _TEXT}) for name, place in PLACES.items()),
    ("/", _ROWS),
)
"""The beginning of a GET's path -> what its query may hold; the first that fits counts."""

_BODIES: tuple[tuple[str, dict[str, Any]], ...] = (
    (r"/key/delete", {"keys": _NAMES, "key_aliases": _NAMES}),
    *((rf"/{name}/(delete|block|unblock|info)", {place.ids: _NAMES, place.id: _TEXT}) for name, place in PLACES.items()),
)
"""A pattern of the paths whose bodies only name what is meant -> their fields."""
_SHAPES: tuple[tuple[str, type[msgspec.Struct]], ...] = (
    (r"/team/member_.*", Membership),
    (r"/model/delete", ModelNamed),
    (r"/model/.*", ModelAsked),
    (r"/credentials.*", CredentialAsked),
    (r".*", Asked),
)
"""A pattern of paths -> what their bodies are read with; the first that fits counts."""
_VERBS = {"generate": "Make", "new": "Make", "info": "Show", "update": "Change", "regenerate": "Give a new text to"}
_REFUSALS = {
    "400": "A field is wrong: the message names it.",
    "401": "No key, or one that is not known here.",
    "403": "This key may not.",
    "404": "There is no such thing.",
    "409": "It is there already, or in use.",
    "413": "The body is too large.",
    "429": "Too many wrong keys from this address.",
    "503": "The database is away.",
}


def document(rows: Iterable[Row]) -> dict[str, Any]:
    """The whole document."""
    kinds = [kind for _, kind in _SHAPES]
    shapes, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    bodies = {pattern: shape for (pattern, _), shape in zip(_SHAPES, shapes, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for method, path, handler in rows:
        paths.setdefault(path, {})[method.lower()] = {
            "operationId": f"{method.lower()}{re.sub(r'[^a-z0-9]+', '_', path)}",
            "summary": _summary(path, handler),
            "tags": [path.split("/")[1]],
            "parameters": _parameters(method, path),
            **({} if _bodiless(method, path) else {"requestBody": _body(path, bodies)}),
            "responses": _responses(),
        }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Dragoman: the admin API", "version": dragoman.__version__},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Error": _error()},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _summary(path: str, handler: Handler) -> str:
    """What its handler says of itself; else what its path says."""
    said = (handler.__doc__ or "").partition("\n\n")[0].strip()
    noun, _, verb = path.strip("/").replace("_", " ").rpartition("/")
    return said or f"{_VERBS.get(verb, verb.capitalize())}: {noun or 'spending'}"


def _parameters(method: str, path: str) -> list[dict[str, Any]]:
    query: Mapping[str, Any] = {}
    if method == "GET":
        query = next(found for beginning, found in _QUERIES if path.startswith(beginning))
    return [
        *({"name": name, "in": "path", "required": True, "schema": _TEXT} for name in re.findall(r"{(\w+)}", path)),
        *({"name": name, "in": "query", "schema": schema} for name, schema in query.items()),
    ]


def _bodiless(method: str, path: str) -> bool:
    return method == "GET" or (method == "DELETE" and "{" in path)


def _body(path: str, bodies: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    named = next((found for pattern, found in _BODIES if re.fullmatch(pattern, path)), None)
    if named is not None:
        schema: Mapping[str, Any] = {"type": "object", "properties": named}
    else:
        schema = next(shape for pattern, shape in bodies.items() if re.fullmatch(pattern, path))
    return {"required": True, "content": {"application/json": {"schema": schema}}}


def _responses() -> dict[str, Any]:
    told = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "200": {"description": "What was asked for.", "content": {"application/json": {"schema": {}}}},
        **{status: {"description": said, "content": told} for status, said in _REFUSALS.items()},
    }


def _error() -> dict[str, Any]:
    told = {name: {"type": ["string", "null"]} for name in ("type", "param", "code")}
    error = {"type": "object", "properties": {"message": _TEXT, **told}, "required": ["message"]}
    return {"type": "object", "properties": {"error": error}, "required": ["error"]}
