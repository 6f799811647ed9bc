"""Does the calls of `files`: an HTTP request of OpenAI's files and batches, sent once, and an object made of its answer.

No model is asked, so there is no flow, no retry and no cost: what a batch took is told in its results. Where Anthropic is
asked, `anthropic_files` says the same in its words. Loaded at the first such call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urlencode

import msgspec

from dragoman.client.client import AsyncClient, Client
from dragoman.client.media_files import media_file
from dragoman.client.objects import Answer, OpenAIObject
from dragoman.client.openai_errors import dress
from dragoman.core import json, multipart
from dragoman.core.chat import Warning
from dragoman.core.errors import BadRequestError, DragomanError, ResponseDecodeError, UnsupportedParamsError
from dragoman.core.http import Headers, HttpRequest, HttpResponse, TransportFailure
from dragoman.dialects import registry
from dragoman.engine import interpret
from dragoman.engine.call import CallOptions
from dragoman.engine.prepare import USER_AGENT, Prepared
from dragoman.engine.steps import Authorize
from dragoman.providers.base import credential_headers
from dragoman.router.deployment import Deployment

_OPENAIS, _ANTHROPICS = "openai_chat", "anthropic_messages"
"""Dialects whose speakers keep files in OpenAI's way, or in Anthropic's, where they keep any."""


Form = tuple[multipart.FormPart, ...]
Made = TypeVar("Made")
MadeAnswer = TypeVar("MadeAnswer", bound=Answer)


class Asked(NamedTuple, Generic[Made]):
    """`path` is below the provider's base URL. `make` makes the result of the answer; `fields` are JSON, `form` a form.

    `elsewhere`: who says the same in `anthropic_files`, with what. `local` has the result, where nothing is to be sent.
    """

    method: str
    path: str
    make: Callable[[HttpResponse], Made]
    query: dict[str, Any] = {}
    fields: dict[str, Any] | None = None
    form: Form = ()
    headers: Headers = ()
    warnings: tuple[Warning, ...] = ()
    elsewhere: tuple[str, tuple[Any, ...]] = ("", ())
    local: Callable[[], Made] | None = None


class Place(NamedTuple):
    """Who is asked: `of` a model, for requests that name one."""

    deployment: Deployment
    options: CallOptions
    of: Callable[[str], Deployment]


class FileContent:
    """What is in a file. `content` is its bytes, `text` the same as UTF-8."""

    def __init__(self, response: HttpResponse) -> None:
        self.content = response.body

    @property
    def text(self) -> str:
        return self.content.decode()

    def read(self) -> bytes:
        return self.content

    def __repr__(self) -> str:
        return f"<FileContent of {len(self.content)} bytes>"


def run(client: Client, provider: str, asked: Asked[Made], given: dict[str, Any]) -> Made:
    """The result of a call; the errors are also those of `openai` where that is imported."""
    try:
        place = _place(client, provider, given)
        asked = _spoken(asked, place)
        if asked.local is not None:
            return asked.local()
        prepared = _prepared(asked, place)
        request = prepared.request
        if not prepared.authorized:
            request = Authorize(request, prepared.deployment.target).perform(None)
        try:
            response = client._transport.send(request, prepared.timeouts)  # noqa: SLF001 - these are calls of the client
        except TransportFailure as failure:
            raise interpret.transport_error(prepared, failure, attempts=1) from failure
        return _made(asked, prepared, response)
    except DragomanError as error:
        dress(error)
        raise


async def arun(client: AsyncClient, provider: str, asked: Asked[Made], given: dict[str, Any]) -> Made:
    """`run`, awaited."""
    try:
        place = _place(client, provider, given)
        asked = _spoken(asked, place)
        if asked.local is not None:
            return asked.local()
        prepared = _prepared(asked, place)
        request = prepared.request
        if not prepared.authorized:
            request = await Authorize(request, prepared.deployment.target).aperform(None)
        try:
            response = await client._transport.send(request, prepared.timeouts)  # noqa: SLF001 - as above
        except TransportFailure as failure:
            raise interpret.transport_error(prepared, failure, attempts=1) from failure
        return _made(asked, prepared, response)
    except DragomanError as error:
        dress(error)
        raise


def _place(client: Client | AsyncClient, provider: str, given: dict[str, Any]) -> Place:
    said = client._sorted(f"{provider}/files", frozenset(), given)  # noqa: SLF001 - these are calls of the client

    def of(model: str) -> Deployment:
        return client._deployment(f"{provider}/{model.removeprefix(provider + '/')}", said.place)  # noqa: SLF001 - as above

    return Place(of("files"), said.options, of)


def _spoken(asked: Asked[Made], place: Place) -> Asked[Made]:
    """What is asked in the words of the provider's own API. Raises BadRequestError."""
    provider = place.deployment.target.provider
    dialect = provider.dialects.get("chat")
    if dialect == _OPENAIS:
        return asked
    if dialect == _ANTHROPICS:
        from dragoman.client import anthropic_files  # noqa: PLC0415 - one of two, and it imports this module

        name, arguments = asked.elsewhere
        spoken: Asked[Made] = getattr(anthropic_files, name)(place, *arguments)
        return spoken
    raise BadRequestError(
        f"custom_llm_provider: {provider.name} keeps files neither in OpenAI's way nor in Anthropic's",
        llm_provider=provider.name,
        attempts=0,
    )


def _prepared(asked: Asked[Any], place: Place) -> Prepared:
    target, options = place.deployment.target, place.options
    lost = tuple(warning for warning in asked.warnings if warning.code == "dropped") if options.strict else ()
    if lost:
        raise UnsupportedParamsError("; ".join(f"{warning.field}: {warning.message}" for warning in lost), attempts=0)
    dialect = registry.get(target.provider.dialects["chat"])
    body, content_type = _body(asked, options.extra_body)
    headers = (
        ("user-agent", USER_AGENT),
        *((("content-type", content_type),) if content_type else ()),
        *dialect.headers(),
        *asked.headers,
        *target.provider.headers,
        *target.headers,
        *credential_headers(target),
        *options.extra_headers,
    )
    query = {name: value for name, value in asked.query.items() if value is not None}
    url = target.base_url + asked.path + (f"?{urlencode(query)}" if query else "")
    return Prepared(
        deployment=place.deployment,
        request=HttpRequest(method=asked.method, url=url, headers=headers, body=body),
        dialect=dialect,
        relay=False,
        warnings=asked.warnings,
        timeouts=options.timeouts,
        authorized=not target.provider.authorizer or target.api_key is not None,
    )


def _body(asked: Asked[Any], extra: dict[str, Any]) -> tuple[bytes, str]:
    if asked.form:
        parts = (*asked.form, *(multipart.FormPart(name=name, data=_text(value)) for name, value in extra.items()))
        boundary = multipart.free_boundary(parts)
        return multipart.encode(parts, boundary), multipart.content_type(boundary)
    if asked.fields is None:
        return b"", ""
    return json.encode({name: value for name, value in (asked.fields | extra).items() if value is not None}), "application/json"


def _text(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else json.encode(value)


def _made(asked: Asked[Made], prepared: Prepared, response: HttpResponse) -> Made:
    if response.status >= 300:
        raise interpret.status_error(prepared, response, attempts=1, now=time.time())
    try:
        made = asked.make(response)
    except (*json.UNREADABLE, ResponseDecodeError) as problem:
        raise interpret.unreadable(prepared, response, f"the answer cannot be read: {problem}", attempts=1) from None
    if asked.warnings and isinstance(made, Answer):
        made._hidden_params["warnings"] = asked.warnings  # noqa: SLF001 - an answer of our own
    return made


def made_of(kind: type[MadeAnswer]) -> Callable[[HttpResponse], MadeAnswer]:
    """What makes an object of a JSON answer."""

    def make(response: HttpResponse) -> MadeAnswer:
        made: MadeAnswer = kind.of(_decoded(response.body))
        return made.beside({}, dict(response.headers))

    return make


_decoded = msgspec.json.Decoder(dict[str, Any]).decode


def form_of(file: Any, purpose: str, **fields: str | None) -> Form:
    """The form of an upload, the file last. Raises BadRequestError for what is no file."""
    found = media_file("file", file)
    if found.data is None:
        raise BadRequestError("file: expected bytes, an open file, a path or a tuple (name, content, media type)", attempts=0)
    texts = {"purpose": purpose, **fields}
    parts = [multipart.FormPart(name=name, data=value.encode()) for name, value in texts.items() if value is not None]
    media_type = found.media_type or "application/octet-stream"
    return (*parts, multipart.FormPart(name="file", data=found.data, filename=found.name, media_type=media_type))


class FileObject(Answer):
    """A file that a provider keeps. `created_at` and `expires_at` are Unix seconds, `bytes` its size."""

    id: str
    object: str
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: str | None


class FileDeleted(Answer):
    id: str
    object: str
    deleted: bool


class Batch(Answer):
    """Many requests that are answered within a day. Its results are the lines of the file `output_file_id`."""

    id: str
    object: str
    endpoint: str
    status: str
    input_file_id: str
    output_file_id: str | None
    error_file_id: str | None
    completion_window: str
    created_at: int
    errors: OpenAIObject | None
    request_counts: OpenAIObject | None
    metadata: dict[str, str] | None
    _nested = {"errors": OpenAIObject, "request_counts": OpenAIObject}


class FileList(Answer):
    """A page. `after=` the last one's id gives the next, while `has_more`."""

    data: list[FileObject]
    has_more: bool
    _nested = {"data": FileObject}


class BatchList(Answer):
    """As FileList."""

    data: list[Batch]
    has_more: bool
    _nested = {"data": Batch}
