"""A call and a deployment -> the HTTP request to send. Pure.

Where the client's dialect is the provider's, the body is not re-encoded: its envelope is edited (model, usage, quirks)
and the rest stays the bytes that came. Elsewhere the request goes through the vocabulary of `core`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from dragoman.core import json
from dragoman.core.chat import Warning
from dragoman.core.errors import ConfigurationError, UnsupportedParamsError
from dragoman.core.http import Headers, HttpRequest
from dragoman.dialects import registry
from dragoman.engine.call import Call
from dragoman.providers import quirks
from dragoman.providers.base import Target, credential_headers
from dragoman.router.deployment import Deployment

USER_AGENT = "dragoman"
JSON = "application/json"


class Prepared(Struct, frozen=True, kw_only=True):
    """One attempt, ready to send. `dialect` reads the answer; `relay`: its bytes may go to the client as they come."""

    deployment: Deployment
    request: HttpRequest
    dialect: Any
    relay: bool
    warnings: tuple[Warning, ...] = ()
    authorized: bool = True
    """Whether the request carries its credentials already; else an authorizer puts them on."""


class _Endpoint(Struct, frozen=True):
    dialect: Any
    url: str
    headers: Headers
    authorized: bool


def prepare(call: Call, deployment: Deployment) -> Prepared:
    """Raises UnsupportedParamsError under `strict` when something would be lost, BadRequestError for a bad body."""
    target = deployment.target
    endpoint = _endpoint(deployment, call.operation, stream=call.stream)
    same_dialect = target.provider.dialects[call.operation] == call.dialect
    if same_dialect and call.content_type == JSON:
        body, warnings, content_type = *_edited(call, target, endpoint), JSON
    else:
        body, warnings, content_type = _translated(call, target, endpoint)
    lost = [warning for warning in warnings if warning.code == "dropped"] if call.options.strict else ()
    if lost:
        raise UnsupportedParamsError(
            "; ".join(f"{warning.field}: {warning.message}" for warning in lost),
            llm_provider=target.provider.name,
            model=target.model,
        )
    extra = call.options.extra_headers
    headers = endpoint.headers
    if content_type != JSON:
        headers = _with_extra(headers, (("content-type", content_type),))
    if extra:
        headers = _with_extra(headers, extra)
    return Prepared(
        deployment=deployment,
        request=HttpRequest(method="POST", url=endpoint.url, headers=headers, body=body),
        dialect=endpoint.dialect,
        relay=same_dialect and call.options.relay and target.provider.quirks.relay,
        warnings=warnings,
        authorized=endpoint.authorized,
    )


def _edited(call: Call, target: Target, endpoint: _Endpoint) -> tuple[bytes, tuple[Warning, ...]]:
    envelope = endpoint.dialect.edit_request(call.envelope, model=target.model, want_usage=target.provider.quirks.stream_usage)
    warnings = quirks.apply_to_envelope(envelope, target.provider.quirks, target.model)
    for name, value in call.options.extra_body.items():
        envelope[name] = json.raw(value)
    return json.encode(envelope), warnings


def _translated(call: Call, target: Target, endpoint: _Endpoint) -> tuple[bytes, tuple[Warning, ...], str]:
    changes: dict[str, Any] = {"model": target.model}
    if call.stream and target.provider.quirks.stream_usage:
        changes["include_usage"] = True
    body, lost, content_type = endpoint.dialect.encode_request(msgspec.structs.replace(call.request, **changes))
    if isinstance(body, bytes):
        return body, lost + _unmerged(call.options.extra_body), content_type
    warnings = lost + quirks.apply(body, target.provider.quirks, target.model)
    body.update(call.options.extra_body)
    return json.encode(body), warnings, content_type


def _unmerged(extra: dict[str, Any]) -> tuple[Warning, ...]:
    return tuple(Warning(field=name, message="left out: the body is no JSON object it could be put into") for name in extra)


def _with_extra(headers: Headers, extra: Headers) -> Headers:
    """The caller's own headers, in place of ours of the same name."""
    names = {name for name, _ in extra}
    return tuple(pair for pair in headers if pair[0] not in names) + extra


def _endpoint(deployment: Deployment, operation: str, *, stream: bool) -> _Endpoint:
    key = (operation, stream)
    found: _Endpoint | None = deployment.memo.get(key)
    if found is None:
        found = deployment.memo[key] = _build_endpoint(deployment.target, operation, stream=stream)
    return found


def _build_endpoint(target: Target, operation: str, *, stream: bool) -> _Endpoint:
    provider = target.provider
    name = provider.dialects.get(operation)
    if name is None:
        offered = ", ".join(sorted(provider.dialects))
        raise ConfigurationError(f"{provider.name} offers no {operation}; it offers: {offered}")
    dialect = registry.get(name)
    path = provider.paths.get(operation) or dialect.path(target.model, stream=stream)
    headers: Headers = (
        ("content-type", JSON),
        ("accept", _accept(dialect, stream=stream)),
        ("user-agent", USER_AGENT),
        *dialect.headers(),
        *provider.headers,
        *target.headers,
        *credential_headers(target),
    )
    authorized = not provider.authorizer or target.api_key is not None
    return _Endpoint(dialect, target.base_url + path, headers, authorized)


def _accept(dialect: Any, *, stream: bool) -> str:
    if stream:
        return getattr(dialect, "stream_accept", "text/event-stream")
    return "*/*" if getattr(dialect, "decode_binary", False) else JSON
