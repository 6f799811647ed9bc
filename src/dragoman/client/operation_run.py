"""Does the calls of `operations`: sorts their arguments, runs the engine's flow, makes objects of the answers.

A count of tokens that the provider makes for nobody is estimated. Loaded at the first such call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from dragoman.client import results
from dragoman.client.arguments import CHAT_PARAMETERS, Arguments
from dragoman.client.media_calls import AnyCaller, AsyncCaller, Caller
from dragoman.client.media_files import addressed
from dragoman.client.objects import Answer
from dragoman.client.openai_errors import dress
from dragoman.client.operation_objects import (
    DecisionResponse,
    ModerationResponse,
    OCRResponse,
    RerankResponse,
    TokenCount,
)
from dragoman.core import json
from dragoman.core.errors import BadRequestError, DragomanError
from dragoman.dialects import registry
from dragoman.engine.call import Call
from dragoman.engine.drive import adrive, drive
from dragoman.engine.flow import Answer as Found
from dragoman.engine.flow import answer
from dragoman.engine.prepare import JSON

_PARAMETERS = {
    "rerank": frozenset(
        """
        query documents top_n rank_fields return_documents max_chunks_per_doc max_tokens_per_doc
        """.split()
    ),
    "moderation": frozenset({"input"}),
    "ocr": frozenset(
        """
        document pages include_image_base64 image_limit image_min_size bbox_annotation_format document_annotation_format
        document_annotation_prompt table_format extract_header extract_footer
        """.split()
    ),
    "decision": frozenset({"input", "state", "questions"}),
    "token_count": CHAT_PARAMETERS,
}
_DIALECTS = {"rerank": "rerank", "moderation": "openai_moderations", "ocr": "mistral_ocr", "token_count": "openai_chat"}
_KINDS: dict[str, type[Answer]] = {
    "rerank": RerankResponse,
    "moderation": ModerationResponse,
    "ocr": OCRResponse,
    "decision": DecisionResponse,
}


class Planned(NamedTuple):
    """A call to run, and what makes the result of its answer."""

    call: Call
    finish: Callable[[Found, Call], Answer]


def plan(client: AnyCaller, operation: str, model: str, given: dict[str, Any]) -> Planned | Answer:
    """The call for the caller's keywords, or the result where no call is needed. Raises BadRequestError."""
    for name in ("stream", "mock_response"):
        if given.get(name) is not None:
            raise BadRequestError(f"{name}: not a part of this call, whose answer comes whole; leave it out")
    if operation == "ocr":
        given = {**given, "document": addressed(given["document"])}
    said = client._sorted(model, _PARAMETERS[operation], given)  # noqa: SLF001 - these are calls of the client
    if operation == "token_count":
        return _count(client, model, said, given)
    dialect = _DIALECTS.get(operation) or _decisions(given.get("questions"))
    return Planned(_call(client, operation, dialect, model=model, said=said), _finished)


def _call(client: AnyCaller, operation: str, dialect: str, *, model: str, said: Arguments) -> Call:
    return client._call(model, operation, said, dialect=dialect, body=said.body, content_type=JSON)  # noqa: SLF001 - as above


def _finished(found: Found, call: Call) -> Answer:
    dialect = registry.get(call.dialect)
    verb = getattr(dialect, "encode_answer", None)
    now = int(time.time())
    body = dialect.encode_response(found.response, now=now) if verb is None else verb(found.response, call.request, now=now)[0]
    return _described(_KINDS[call.operation].of(json.decode(body)), found, call)


def _described(made: Answer, found: Found, call: Call) -> Answer:
    call.warnings += found.response.warnings
    results.describe(made, call, found.prepared, found.raw.headers)
    return made


# --------------------------------------------------------------------------------------------------------------- decisions
def _decisions(questions: Any) -> str:
    """Questions by name are System One's, a list of them OpenAI's."""
    return "systemone" if isinstance(questions, dict) else "openai_decisions"


# ------------------------------------------------------------------------------------------------------------ token counts
def _count(client: AnyCaller, model: str, said: Arguments, given: dict[str, Any]) -> Planned | Answer:
    target = client._deployment(model, said.place).target  # noqa: SLF001 - as above
    if "token_count" not in target.provider.dialects:
        return _estimated(model, given)

    def finish(found: Found, call: Call) -> Answer:
        return _described(_told(found.response.input_tokens, model, target.model, "provider"), found, call)

    return Planned(_call(client, "token_count", _DIALECTS["token_count"], model=model, said=said), finish)


def _estimated(model: str, given: dict[str, Any]) -> Answer:
    from dragoman.client.helpers import token_counter  # noqa: PLC0415 - it loads the catalog

    total = token_counter(model, messages=given["messages"], tools=given.get("tools"))
    return _told(total, model, model, "estimate")


def _told(total: int, asked: str, used: str, how: str) -> TokenCount:
    return TokenCount(total_tokens=total, request_model=asked, model_used=used, tokenizer_type=how)


# --------------------------------------------------------------------------------------------------------------------- run
def run(client: Caller, operation: str, model: str, given: dict[str, Any]) -> Any:
    """The result of a call; the errors are also those of `openai` where that is imported."""
    try:
        planned = plan(client, operation, model, given)
        if isinstance(planned, Answer):
            return planned
        found = drive(answer(planned.call, time.monotonic, time.time), client._transport)  # noqa: SLF001 - as above
        return planned.finish(found, planned.call)
    except DragomanError as error:
        dress(error)
        raise


async def arun(client: AsyncCaller, operation: str, model: str, given: dict[str, Any]) -> Any:
    """`run`, awaited."""
    try:
        planned = plan(client, operation, model, given)
        if isinstance(planned, Answer):
            return planned
        found = await adrive(answer(planned.call, time.monotonic, time.time), client._transport)  # noqa: SLF001 - as above
        return planned.finish(found, planned.call)
    except DragomanError as error:
        dress(error)
        raise
