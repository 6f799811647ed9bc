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
from dragoman.core.errors import BadRequestError, ErrorDetail, UnsupportedParamsError
from dragoman.core.http import Headers, HttpRequest, Timeouts
from dragoman.dialects import registry
from dragoman.engine.call import Call
from dragoman.providers import answers, prefill, quirks, table
from dragoman.providers.base import Provider, Target, credential_headers
from dragoman.router.deployment import NO_TERMS, Deployment, Terms

USER_AGENT = "dragoman"
JSON = "application/json"


class Prepared(Struct, frozen=True, kw_only=True):
    """One attempt, ready to send. `dialect` reads the answer; `relay`: its bytes may go to the client as they come."""

    deployment: Deployment
    request: HttpRequest
    dialect: Any
    relay: bool
    warnings: tuple[Warning, ...] = ()
    timeouts: Timeouts = Timeouts()
    authorized: bool = True
    """Whether the request carries its credentials already; else an authorizer puts them on."""
    polled: bool = False
    """Whether the answer may have to be asked for until it is there."""
    uploads: bool = False
    """Whether a file may have to be sent before the request."""
    base_url: str = ""
    """What relative addresses in answers stand behind."""


_CARRIED = {"responses": "chat", "completion": "chat", "decision": "chat"}
"""Operation -> the one that says the same where a provider has no endpoint for it."""


def carried_as(provider: Provider, operation: str) -> str:
    """The operation that the provider is asked for `operation`. Raises BadRequestError, which names who offers it."""
    if operation in provider.dialects:
        return operation
    other = _CARRIED.get(operation)
    if other in provider.dialects:
        return other
    others = ", ".join(row.name for row in table.ROWS if operation in row.dialects)
    message = f"{provider.name} offers no {operation}; it offers: {', '.join(sorted(provider.dialects))}"
    raise BadRequestError(
        f"{message}. {operation} is offered by: {others or 'nobody yet'}",
        detail=ErrorDetail(message=message, param="model"),
        llm_provider=provider.name,
        attempts=0,
    )


class _Endpoint(Struct, frozen=True, kw_only=True):
    """What is the same for all calls of one operation at a deployment. `operation`: what it is carried as there; `name`: the
    dialect whose clients get its answers as they come.
    """

    operation: str
    dialect: Any
    name: str
    base_url: str
    url: str
    headers: Headers
    authorized: bool
    polled: bool
    uploads: bool
    path_of_request: bool


def prepare(call: Call, deployment: Deployment) -> Prepared:
    """Raises UnsupportedParamsError under `strict` when something would be lost, BadRequestError for a bad body."""
    target, terms, timeouts = deployment.target, deployment.terms, call.options.timeouts
    changes = None if call.session is None else call.session.changes
    way = None
    if changes is not None:
        way = target.provider.prefill if call.session is not None and call.session.begun else None
        call = _changed(call, changes)
    if terms is not NO_TERMS:
        call = _on_terms(call, terms)
        timeouts = _timeouts(timeouts, terms, stream=call.stream)
    endpoint = _endpoint(deployment, call)
    same_dialect = endpoint.name == call.dialect
    if same_dialect and call.content_type == JSON:
        body, warnings, content_type = *_edited(call, target, endpoint), JSON
    else:
        body, warnings, content_type = _translated(call, target, endpoint, carried=endpoint.operation != call.operation)
    url = _url(call, target, endpoint) if endpoint.path_of_request else endpoint.url
    if way is not None:
        body, url = prefill.marked(body, way), prefill.place(url, target)
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
        request=HttpRequest(
            method="POST",
            url=url,
            headers=headers,
            body=body,
        ),
        dialect=endpoint.dialect,
        relay=same_dialect and call.options.relay and target.provider.quirks.relay,
        warnings=warnings,
        timeouts=timeouts,
        authorized=endpoint.authorized,
        polled=endpoint.polled,
        uploads=endpoint.uploads,
        base_url=endpoint.base_url,
    )


def _changed(call: Call, changes: dict[str, Any]) -> Call:
    """The call with what the fallback that leads here has different in it: field of the body -> value; None takes one out."""
    if call.content_type != JSON:
        raise BadRequestError(f"fallbacks: a request with files is sent as it is; leave out {', '.join(changes)}", attempts=0)
    changed = {name: json.raw(value) for name, value in changes.items() if value is not None}
    kept = {name: value for name, value in call.envelope.items() if name not in changes}
    return call.reworded({**kept, **changed})


def _url(call: Call, target: Target, endpoint: _Endpoint) -> str:
    """Some dialects have in their path what is asked for, and not the model alone (a voice, a query)."""
    path: str = endpoint.dialect.request_path(msgspec.structs.replace(call.request, model=target.model))
    return endpoint.base_url + path


def _on_terms(call: Call, terms: Terms) -> Call:
    """The call with the parameters that the deployment's terms add where the client said nothing."""
    if not terms.defaults or call.content_type != JSON:
        return call
    added = {name: json.raw(value) for name, value in terms.defaults.items() if name not in call.envelope}
    return call.reworded({**call.envelope, **added}) if added else call


def _timeouts(given: Timeouts, terms: Terms, *, stream: bool) -> Timeouts:
    """A deployment's own time limit holds where it is the shorter one: that of a stream between two of its pieces."""
    limit = terms.stream_timeout if stream and terms.stream_timeout is not None else terms.timeout
    if limit is None:
        return given
    limited = ("connect", "first_token", "idle") if stream else ("total",)
    return msgspec.structs.replace(given, **{name: _shorter(getattr(given, name), limit) for name in limited})


def _shorter(given: float | None, limit: float) -> float:
    return limit if given is None else min(given, limit)


def _edited(call: Call, target: Target, endpoint: _Endpoint) -> tuple[bytes, tuple[Warning, ...]]:
    envelope = endpoint.dialect.edit_request(call.envelope, model=target.model, want_usage=target.provider.quirks.stream_usage)
    warnings = quirks.apply_to_envelope(envelope, target.provider.quirks, target.model)
    for name, value in call.options.extra_body.items():
        envelope[name] = json.raw(value)
    return json.encode(envelope), warnings


def _translated(call: Call, target: Target, endpoint: _Endpoint, *, carried: bool) -> tuple[bytes, tuple[Warning, ...], str]:
    changes: dict[str, Any] = {"model": target.model}
    if call.stream:
        changes["stream"] = True  # Gemini's dialect says so in the path, and not in the body
        if target.provider.quirks.stream_usage:
            changes["include_usage"] = True
    request, noted = _carried(call) if carried else (call.request, ())
    body, lost, content_type = endpoint.dialect.encode_request(msgspec.structs.replace(request, **changes))
    lost = noted + lost
    if isinstance(body, bytes):
        return body, lost + _unmerged(call.options.extra_body), content_type
    warnings = lost + quirks.apply(body, target.provider.quirks, target.model)
    body.update(call.options.extra_body)
    return json.encode(body), warnings, content_type


def _carried(call: Call) -> tuple[Any, tuple[Warning, ...]]:
    """The request in the words of `core`, and what a dialect has to say about its being answered in another one."""
    carry = getattr(registry.get(call.dialect), "carry", None)
    return carry(call.request) if carry else (call.request, ())


def _unmerged(extra: dict[str, Any]) -> tuple[Warning, ...]:
    return tuple(Warning(field=name, message="left out: the body is no JSON object it could be put into") for name in extra)


def _with_extra(headers: Headers, extra: Headers) -> Headers:
    """The caller's own headers, in place of ours of the same name."""
    names = {name for name, _ in extra}
    return tuple(pair for pair in headers if pair[0] not in names) + extra


def _endpoint(deployment: Deployment, call: Call) -> _Endpoint:
    provider = deployment.target.provider
    spoken = call.dialect if call.dialect in provider.further.get(call.operation, ()) else ""
    key = (call.operation, call.stream, spoken)
    found: _Endpoint | None = deployment.memo.get(key)
    if found is None:
        found = deployment.memo[key] = _build_endpoint(deployment.target, call.operation, spoken, stream=call.stream)
    return found


def _build_endpoint(target: Target, operation: str, spoken: str, *, stream: bool) -> _Endpoint:
    """`spoken`: the further dialect of the provider's that is the client's, if it is one."""
    provider = target.provider
    operation = carried_as(provider, operation)
    name = spoken or provider.dialects[operation]
    dialect = answers.as_meant(registry.get(name), provider.quirks)
    own = provider.further[operation][spoken] if spoken else provider.paths.get(operation)
    path = own or dialect.path(target.model, stream=stream)
    base_url = target.base_url
    if base_url == provider.base_url:
        base_url = provider.elsewhere.get(operation, base_url)
    headers: Headers = (
        ("content-type", JSON),
        ("accept", _accept(dialect, stream=stream)),
        ("user-agent", USER_AGENT),
        *dialect.headers(),
        *provider.headers,
        *target.headers,
        *credential_headers(target),
    )
    return _Endpoint(
        operation=operation,
        dialect=dialect,
        name=getattr(dialect, "same_as", name),
        base_url=base_url,
        url=base_url + path,
        headers=headers,
        authorized=not provider.authorizer or target.api_key is not None,
        polled=hasattr(dialect, "poll"),
        uploads=hasattr(dialect, "upload"),
        path_of_request=hasattr(dialect, "request_path") and operation not in provider.paths,
    )


def _accept(dialect: Any, *, stream: bool) -> str:
    if stream:
        return getattr(dialect, "stream_accept", "text/event-stream")
    return "*/*" if getattr(dialect, "decode_binary", False) else JSON
