"""Files that a provider must have before it is asked about them: sent first, and named in the request's body.

The step around a dialect's `upload`, called by the flow before the request is signed. The file goes where the request goes,
with the same credentials; a retry sends it again.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any
from urllib.parse import urljoin

from msgspec.structs import replace

from dragoman.core import json
from dragoman.core.errors import ResponseDecodeError
from dragoman.core.http import HttpRequest, HttpResponse
from dragoman.dialects.base import Upload
from dragoman.engine import interpret
from dragoman.engine.call import Call
from dragoman.engine.prepare import Prepared
from dragoman.engine.steps import Authorize, Send, Step


def with_file(call: Call, prepared: Prepared, wall: Callable[[], float]) -> Generator[Step, Any, HttpRequest]:
    """The request to send, once its file is there. Raises what a refused file stands for; `wall` is Unix seconds."""
    request = prepared.request
    upload: Upload | None = prepared.dialect.upload(call.request)
    if upload is None:
        return request
    sending = _sending(upload, request)
    if not prepared.authorized:
        sending = yield Authorize(sending, prepared.deployment.target)
    response: HttpResponse = yield Send(sending, prepared.timeouts)
    if response.status >= 300:
        raise interpret.status_error(prepared, response, attempts=len(call.attempts), now=wall())
    body = json.decode_envelope(request.body)
    body[upload.field] = json.raw_text(_address(upload, response))
    return replace(request, body=json.encode(body))


def _sending(upload: Upload, request: HttpRequest) -> HttpRequest:
    headers = (("content-type", upload.content_type), *(pair for pair in request.headers if pair[0] != "content-type"))
    return HttpRequest(method="POST", url=urljoin(request.url, upload.url), headers=headers, body=upload.data)


def _address(upload: Upload, response: HttpResponse) -> str:
    try:
        address = json.decode(response.body)[upload.answered]
    except (*json.UNREADABLE, LookupError, TypeError):
        address = None
    if not isinstance(address, str) or not address:
        raise ResponseDecodeError(f"the file was taken, but the answer names no {upload.answered}")
    return address
