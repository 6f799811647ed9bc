"""Reading documents: every recorded exchange, how a document may be given, bad input, both halves against each other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.chat import MediaPart, Usage
from dragoman.core.errors import BadRequestError, ResponseDecodeError
from dragoman.core.json import encode
from dragoman.core.operations import OCRPage, OCRRequest, OCRResponse
from dragoman.dialects.mistral_ocr import DIALECT, NAME
from support.recordings import Entry, exchanges

RECORDED = exchanges("ocr")
PDF = "https://papers.example/a.pdf"
PAGE = {"index": 0, "markdown": "# Title", "images": [], "dimensions": {"dpi": 200, "height": 2200, "width": 1700}}
READ = {"pages": [PAGE], "model": "mistral-ocr-2512", "usage_info": {"pages_processed": 1, "doc_size_bytes": 77}}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "document": {"type": "document_url", "document_url": PDF}} | fields).encode()


@pytest.mark.parametrize("entry", RECORDED, ids=lambda entry: entry.id)
def test_recordings_lose_nothing(entry: Entry) -> None:
    """Deliberate difference: nulls say nothing."""
    recorded = entry.load()
    written, warnings, _ = DIALECT.encode_request(DIALECT.decode_request(json.dumps(recorded.request_json).encode()))
    assert (json.loads(encode(written)), warnings) == (recorded.request_json, ())
    answer = DIALECT.decode_response(recorded.response_bytes)
    assert without_nulls(json.loads(DIALECT.encode_response(answer, now=0))) == without_nulls(recorded.response_json)
    assert answer.usage == DIALECT.read_usage(recorded.response_bytes)


def without_nulls(value: Any) -> Any:
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: without_nulls(held) for key, held in value.items() if held is not None}


@pytest.mark.parametrize(
    ("document", "read"),
    [
        ({"type": "document_url", "document_url": PDF}, MediaPart(kind="document", url=PDF)),
        ({"type": "document_url", "document_url": PDF, "document_name": "a"},
         MediaPart(kind="document", url=PDF, filename="a")),
        ({"type": "image_url", "image_url": "data:image/png;base64,AA=="},
         MediaPart(kind="image", url="data:image/png;base64,AA==")),
        ({"type": "image_url", "image_url": {"url": PDF, "detail": "high"}}, MediaPart(kind="image", url=PDF, detail="high")),
        ({"type": "file", "file_id": "f1"}, MediaPart(kind="document", file_id="f1")),
    ],
)  # fmt: skip
def test_how_a_document_may_be_given(document: dict[str, Any], read: MediaPart) -> None:
    request = DIALECT.decode_request(body(document=document, pages=[0, 2], table_format="html"))
    assert request == OCRRequest(model="m", document=read, pages=(0, 2), extra={NAME: {"table_format": "html"}})
    written, warnings, _ = DIALECT.encode_request(request)
    assert (written, warnings) == ({"model": "m", "document": document, "pages": (0, 2), "table_format": "html"}, ())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model": None}, "model: expected a string, found nothing"),
        ({"document": None}, "document: expected an object, found nothing"),
        ({"document": PDF}, "document: expected an object, found string"),
        ({"document": {"type": "page"}}, "document.type: expected one of document_url, image_url, file, found 'page'"),
        ({"document": {"type": "document_url"}}, "document.document_url: expected a string, found nothing"),
        ({"document": {"type": "file", "file": "x"}}, "document.file_id: expected a string, found nothing"),
        ({"document": {"type": "document_url", "document_url": PDF, "page": 1}}, "document.page: this field is not known"),
        (
            {"document": {"type": "file", "file_id": "f", "document_name": "a"}},
            "document.document_name: this field is not known",
        ),
        ({"document": {"type": "image_url", "image_url": {}}}, "document.image_url.url: expected a string, found nothing"),
        ({"pages": ["one"]}, "pages: expected an array of page numbers"),
    ],
)
def test_bad_requests_are_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        DIALECT.decode_request(body(**fields))
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>", "no JSON"),
        (b"{}", "no array pages"),
        (b'{"pages":[{"index":"0","markdown":"x"}]}', r"pages\[0\] is no object with an index and its markdown"),
        (b'{"pages":[3]}', r"pages\[0\]"),
    ],
)
def test_answers_without_sense(answer: bytes, message: str) -> None:
    with pytest.raises(ResponseDecodeError, match=message):
        DIALECT.decode_response(answer)


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b"{}", b'{"usage_info":3}'])
def test_usage_that_is_not_there(answer: bytes) -> None:
    assert DIALECT.read_usage(answer) is None


def test_usage_counts_pages_and_no_tokens() -> None:
    answer = DIALECT.decode_response(json.dumps(READ).encode())
    assert answer.usage == Usage(extra={NAME: {"pages_processed": 1, "doc_size_bytes": 77}})
    assert json.loads(DIALECT.encode_response(answer, now=0)) == READ


PAGES = st.lists(st.builds(OCRPage, index=st.integers(0, 999), markdown=st.text(max_size=20)), max_size=4).map(tuple)


@given(model=st.text(max_size=8), pages=PAGES, size=st.integers(0))
def test_answers_survive(model: str, pages: tuple[OCRPage, ...], size: int) -> None:
    usage = Usage(extra={NAME: {"pages_processed": len(pages), "doc_size_bytes": size}})
    response = OCRResponse(model=model, pages=pages, usage=usage)
    assert DIALECT.decode_response(DIALECT.encode_response(response, now=0)) == response
