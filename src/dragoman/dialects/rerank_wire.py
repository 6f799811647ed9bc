"""What the rerank dialects share: documents as texts, results in every shape they come in, and an answer fitted to its request.

Vendors agree on a query, documents and scores, and name them differently: `results` or `data` or `rankings` or a bare list;
`relevance_score`, `score` or `logit`. What a vendor cannot do (cut to `top_n`, repeat documents) `fitted` does afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from dragoman.core import json
from dragoman.core.chat import Warning
from dragoman.core.errors import BadRequestError, ErrorDetail, ResponseDecodeError, error_for
from dragoman.core.operations import Document, RerankRequest, RerankResponse, RerankResult
from dragoman.dialects import openai_errors
from dragoman.dialects.media_wire import left_over, number_or_none, text_or_none
from dragoman.dialects.operation_wire import Body, read_usage

_LISTS = ("results", "data", "rankings")
_SCORES = ("relevance_score", "score", "logit")
_KNOWN = frozenset({*_LISTS, "id", "model", "object", "usage", "meta"})


# --------------------------------------------------------------------------------------------------------------- requests
def texts(request: RerankRequest) -> tuple[list[str], tuple[Warning, ...]]:
    """The documents for a vendor that takes texts only. An object is written out by its fields, as Cohere advises."""
    fields = request.rank_fields
    written = [text_of(document, fields, f"documents[{place}]") for place, document in enumerate(request.documents)]
    plain = all(isinstance(document, str) or document.keys() == {"text"} for document in request.documents)
    if plain:
        return written, ()
    message = "only texts can be ranked here; objects were written out, a line for each field"
    return written, (Warning(field="documents", message=message, code="changed"),)


def query_text(request: RerankRequest) -> str:
    return text_of(request.query, (), "query")


def text_of(document: Document, fields: Sequence[str], path: str) -> str:
    """https://docs.cohere.com/docs/reranking-with-cohere#semi-structured-data. Raises BadRequestError for pictures."""
    if isinstance(document, str):
        return document
    if "image" in document:
        message = f"{path}.image: only texts can be ranked here; choose a model that ranks images"
        raise BadRequestError(message, detail=ErrorDetail(message=message, param=f"{path}.image"), attempts=0)
    if document.keys() == {"text"}:
        return _line(document["text"])
    counted = {name: document[name] for name in fields if name in document} or document
    return "".join(f"{name}: {_line(value)}\n" for name, value in counted.items())


def _line(value: Any) -> str:
    return value if isinstance(value, str) else json.encode(value).decode()


def uncut(request: RerankRequest, who: str) -> tuple[Warning, ...]:
    """For those who cannot be told where to cut documents."""
    if request.max_tokens_per_doc is None:
        return ()
    return (Warning(field="max_tokens_per_doc", message=f"{who} has no such parameter; it was left out"),)


# ---------------------------------------------------------------------------------------------------------------- answers
def read_response(body: bytes, dialect: str) -> RerankResponse:
    """Raises ResponseDecodeError naming the path, or what an error inside a 200 stands for."""
    value = _decoded(body)
    held = {"results": value} if isinstance(value, list) else value
    items = next((held[key] for key in _LISTS if isinstance(held.get(key), list)), None)
    if items is None:
        if held.get("error"):
            raise error_for(openai_errors.embedded_status(held), openai_errors.read_error(502, held))
        raise ResponseDecodeError(f"the answer holds no array {' or '.join(_LISTS)}")
    results = [_result(item, place) for place, item in enumerate(items)]
    meta, usage = held.get("meta"), held.get("usage")
    return RerankResponse(
        model=text_or_none(held.get("model")) or "",
        results=tuple(sorted(results, key=lambda result: -result.relevance_score)),
        id=text_or_none(held.get("id")),
        usage=read_usage(_counted(meta, usage), dialect),
        search_units=_search_units(meta, usage),
        extra=left_over(held, _KNOWN, dialect),
    )


def _decoded(body: bytes) -> Any:
    try:
        value = json.decode(body)
    except (json.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise ResponseDecodeError(f"the answer is no JSON: {problem}") from None
    if not isinstance(value, dict | list):
        raise ResponseDecodeError(f"the answer is no object but {json.kind(value)}")
    return value


def _result(item: Any, place: int) -> RerankResult:
    if not isinstance(item, dict):
        raise ResponseDecodeError(f"results[{place}] is no object but {json.kind(item)}")
    index = item.get("index", place)
    score = next((score for key in _SCORES if (score := number_or_none(item.get(key))) is not None), None)
    if type(index) is not int or index < 0 or score is None:
        raise ResponseDecodeError(f"results[{place}] has no index and score")
    document = item.get("document", item.get("text"))
    return RerankResult(index=index, relevance_score=score, document=_object(document))


def _object(document: Any) -> dict[str, Any] | None:
    """A document as an object; Together sends an empty one for none."""
    if isinstance(document, str):
        return {"text": document}
    return document if isinstance(document, dict) and document else None


def _counted(meta: Any, usage: Any) -> Any:
    """Cohere counts tokens in `meta`, and only for some models."""
    if isinstance(usage, dict):
        return {key: value for key, value in usage.items() if key != "search_units"}
    held = meta if isinstance(meta, dict) else {}
    return next((held[key] for key in ("tokens", "billed_units") if _has_tokens(held.get(key))), None)


def _has_tokens(counts: Any) -> bool:
    return isinstance(counts, dict) and "input_tokens" in counts


def _search_units(meta: Any, usage: Any) -> float | None:
    billed = meta.get("billed_units") if isinstance(meta, dict) else usage
    return number_or_none(billed.get("search_units")) if isinstance(billed, dict) else None


def fitted(response: RerankResponse, request: RerankRequest, *, return_documents: bool = False) -> RerankResponse:
    """The answer as it was asked for, whoever gave it: no more than `top_n`, with documents or without.

    `return_documents` holds where the request does not say. Raises ResponseDecodeError for a document that was not sent.
    """
    results = response.results if request.top_n is None else response.results[: request.top_n]
    wanted = return_documents if request.return_documents is None else request.return_documents
    made = tuple(_with_document(result, request.documents if wanted else None) for result in results)
    return msgspec.structs.replace(response, results=made)


def _with_document(result: RerankResult, documents: tuple[Document, ...] | None) -> RerankResult:
    if documents is None:
        return result if result.document is None else msgspec.structs.replace(result, document=None)
    if result.index >= len(documents):
        raise ResponseDecodeError(f"a result names document {result.index}, and {len(documents)} were sent")
    return msgspec.structs.replace(result, document=_object(documents[result.index]))


def write_results(response: RerankResponse) -> list[Body]:
    return [
        {"index": result.index, "relevance_score": result.relevance_score}
        | ({} if result.document is None else {"document": result.document})
        for result in response.results
    ]
