"""Reading documents as Mistral has it (POST /ocr), both halves: a document in, its pages as Markdown out. LiteLLM copied it.

A document is a PDF or an image behind an address (http, https or data:), or a file that Mistral keeps. Pages are counted from
0. What is paid for are pages, so usage has no tokens. Called through `registry.get`. Source: https://docs.mistral.ai/api/endpoint/ocr
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.chat import MediaKind, MediaPart, Usage
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.operations import OCRPage, OCRRequest, OCRResponse
from dragoman.dialects import media_wire as wire
from dragoman.dialects.base import EncodedRequest
from dragoman.dialects.openai_chat.reader import Fields, refuse
from dragoman.dialects.operation_wire import Body, WholeAnswers, extra_of, no_more, read_fields, said, taken

NAME = "mistral_ocr"
_KINDS: dict[str, MediaKind] = {"document_url": "document", "image_url": "image", "file": "document"}
"""How a document is given -> what it is."""


class MistralOCR(WholeAnswers):
    """See `dialects.base.Dialect`; there is no stream."""

    name = NAME

    def path(self, model: str, *, stream: bool = False) -> str:  # noqa: ARG002 - one path for all
        return "/ocr"

    # upstream
    def read_usage(self, body: bytes) -> Usage | None:
        try:
            given = json.decode_envelope(body).get("usage_info")
            return None if given is None else _usage(json.decode(given))
        except json.UNREADABLE:
            return None

    def encode_request(self, request: OCRRequest) -> EncodedRequest:
        own, lost = taken(request.extra, (NAME,))
        body: Body = {"model": request.model, "document": _write_document(request.document), "pages": request.pages}
        return EncodedRequest(said(body) | own, lost)

    def decode_response(self, body: bytes) -> OCRResponse:
        """Raises ResponseDecodeError naming the path, or what an error inside a 200 stands for."""
        value = wire.read_answer(body)
        pages = value.get("pages")
        if not isinstance(pages, list):
            raise ResponseDecodeError("the answer holds no array pages")
        return OCRResponse(
            model=wire.text_or_none(value.get("model")) or "",
            pages=tuple(_read_page(page, f"pages[{place}]") for place, page in enumerate(pages)),
            usage=_usage(value.get("usage_info")),
            extra=wire.left_over(value, {"model", "pages", "usage_info"}, NAME),
        )

    # downstream
    def decode_request(self, body: bytes) -> OCRRequest:
        """Raises BadRequestError that names the path, what was found and what is expected there."""
        fields = read_fields(body)
        return OCRRequest(
            model=fields.need_text("model"),
            document=_read_document(fields.inner("document")),
            pages=_pages(fields),
            extra=extra_of(NAME, fields.rest()),
        )

    def encode_response(self, response: OCRResponse, *, now: int) -> bytes:  # noqa: ARG002 - answers here need no time
        pages = [{"index": page.index, "markdown": page.markdown} | page.extra.get(NAME, {}) for page in response.pages]
        usage = {} if response.usage is None else response.usage.extra.get(NAME, {})
        body: Body = {"pages": pages, "model": response.model, "usage_info": {"pages_processed": len(pages)} | usage}
        return json.encode(body | response.extra.get(NAME, {}))


DIALECT = MistralOCR()


def _read_document(fields: Fields) -> MediaPart:
    """`image_url` is an address, or an object with one, as in chats."""
    given, file_id, url, detail = fields.word("type", tuple(_KINDS)), None, None, None
    if given == "file":
        file_id = fields.need_text("file_id")
    elif given == "image_url" and isinstance(fields.peek(given), dict):
        inner = fields.inner(given)
        url, detail = inner.need_text("url"), inner.text("detail")
        no_more(inner)
    else:
        url = fields.need_text(given)
    name = fields.text("document_name") if given == "document_url" else None
    no_more(fields)
    return MediaPart(kind=_KINDS[given], filename=name, detail=detail, file_id=file_id, url=url)


def _write_document(document: MediaPart) -> Body:
    if document.file_id is not None:
        return {"type": "file", "file_id": document.file_id}
    if document.kind == "image":
        address = document.url if document.detail is None else {"url": document.url, "detail": document.detail}
        return {"type": "image_url", "image_url": address}
    return said({"type": "document_url", "document_url": document.url, "document_name": document.filename})


def _pages(fields: Fields) -> tuple[int, ...] | str | None:
    given = fields.any("pages")
    if given is None or isinstance(given, str):
        return given
    if not isinstance(given, list) or not all(type(page) is int for page in given):
        return refuse("pages", 'expected an array of page numbers from 0, or a text such as "0-3"')
    return tuple(given)


def _read_page(page: Any, path: str) -> OCRPage:
    fields = page if isinstance(page, dict) else {}
    index, markdown = fields.get("index"), fields.get("markdown")
    if type(index) is not int or not isinstance(markdown, str):
        raise ResponseDecodeError(f"{path} is no object with an index and its markdown")
    return OCRPage(index=index, markdown=markdown, extra=wire.left_over(fields, {"index", "markdown"}, NAME))


def _usage(given: Any) -> Usage | None:
    return Usage(extra={NAME: given}) if isinstance(given, dict) else None
