"""Requests of a batch made those of the provider that will answer them, and its results made those of who asked. Pure.

Each request goes the way of a call alone: the model's name, quirks, terms and `strict` hold for it, and what cannot be said to
the provider is a Warning. Nothing here is sent. Called by the batches of the SDK and of the gateway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.batches import BatchRequest, BatchResult
from dragoman.core.chat import Warning
from dragoman.core.errors import BadRequestError, error_for
from dragoman.engine.call import Call, CallOptions
from dragoman.engine.prepare import prepare
from dragoman.router.deployment import Deployment

DIALECTS = {
    "/v1/chat/completions": ("chat", "openai_chat"),
    "/v1/responses": ("responses", "openai_responses"),
    "/v1/completions": ("completion", "openai_completions"),
    "/v1/embeddings": ("embedding", "openai_embeddings"),
    "/v1/moderations": ("moderation", "openai_moderations"),
    "/v1/messages": ("chat", "anthropic_messages"),
}
"""The path that a request of a batch is meant for -> its operation and dialect."""
MAX_WARNINGS = 20
"""Of one batch that are told, each once: its requests mostly have the same."""


class Translated(NamedTuple):
    """`requests` as the provider gets them."""

    requests: tuple[BatchRequest, ...]
    warnings: tuple[Warning, ...]


def call_of(request: BatchRequest) -> Call:
    """The request as a call whose place is still to be said. Raises BadRequestError that names the request."""
    known = DIALECTS.get(request.endpoint)
    if known is None:
        raise _wrong(request, f"{request.endpoint[:80]!r} has no batches; these have: {', '.join(DIALECTS)}")
    call = Call(operation=known[0], dialect=known[1], model="", body=request.body, deployments=())
    try:
        model = json.read(call.envelope, "model")
    except (*json.UNREADABLE, BadRequestError):
        model = None
    if not isinstance(model, str) or not model:
        raise _wrong(request, "expected a body that is a JSON object and names its model")
    call.model = model
    return call


def translated(
    requests: Iterable[BatchRequest], place: Callable[[str], Deployment], endpoint: str, options: CallOptions
) -> Translated:
    """The requests for who takes batches at `endpoint`. `place`: who answers a model, by the name that the requests call it.

    Raises BadRequestError that names the request.
    """
    made, warnings = [], dict[Warning, None]()
    for request in requests:
        call = call_of(request)
        call.options = options
        deployment = place(call.model)
        try:
            prepared = prepare(call, deployment)
        except BadRequestError as problem:
            raise _wrong(request, problem.message) from problem
        warnings |= dict.fromkeys(prepared.warnings)
        made.append(BatchRequest(custom_id=request.custom_id, endpoint=endpoint, body=prepared.request.body))
    return Translated(tuple(made), tuple(warnings)[:MAX_WARNINGS])


def result_for(result: BatchResult, spoken: Any, asked: Any, *, provider: str, now: int) -> BatchResult:
    """The result in the chat dialect `asked` of the `provider`'s, which is in `spoken`.

    Raises ResponseDecodeError for an answer that is none.
    """
    if result.outcome == "succeeded":
        return replace(result, body=asked.encode_response(spoken.decode_response(result.body), now=now))
    if result.outcome == "errored":
        error = error_for(result.status, spoken.decode_error(result.status, result.body), llm_provider=provider)
        return replace(result, status=error.status_code, body=asked.encode_error(error))
    return result


def _wrong(request: BatchRequest, message: str) -> BadRequestError:
    return BadRequestError(f"request {request.custom_id!r}: {message}", attempts=0)
