"""The Dialect protocol: the verbs that a wire format gives us, documented once.

The upstream half speaks to a provider (we are the client), the downstream half to a program (we are the server).
All verbs are pure. `now` (Unix seconds) and ids come in as arguments where a format needs them.
A dialect knows nothing of providers: what a provider does otherwise is a quirk of its row, applied to the body that
`encode_request` returns, before it becomes bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from dragoman.core.chat import ChatRequest, ChatResponse, Usage, Warning
from dragoman.core.errors import DragomanError, ErrorDetail
from dragoman.core.events import Event
from dragoman.core.json import Envelope


class EncodedRequest(NamedTuple):
    """A body that is ready but for quirks and JSON encoding, and what could not be said in it.

    A body of bytes (a form with a file in it) goes out as it is, under its `content_type`.
    """

    body: dict[str, Any] | bytes
    warnings: tuple[Warning, ...] = ()
    content_type: str = "application/json"


class Poll(NamedTuple):
    """The answer is not there yet: ask `url` again after `wait` seconds. Relative URLs stand behind the provider's base URL.

    An empty `url` is the address that was asked before (at first, that of the request itself).
    """

    url: str
    wait: float
    method: str = "GET"


class Upload(NamedTuple):
    """A file that must be with the provider before the request that speaks of it. It is POSTed to `url`, which is relative to
    that request's; what the answer, a JSON object, calls `answered` becomes the `field` of the request's body.
    """

    url: str
    data: bytes
    answered: str
    field: str
    content_type: str = "application/octet-stream"


class StreamDecoder(Protocol):
    """Bytes of an upstream stream -> events. A new one for every response."""

    def feed(self, chunk: bytes) -> list[Event]:
        """Events completed by this chunk, cut anywhere. Never raises on bad input: garbage becomes a StreamError."""
        ...

    def close(self) -> list[Event]:
        """The bytes have ended. The missing PartEnds and ResponseEnd if the answer was complete, else a StreamError(broken)."""
        ...


class StreamEncoder(Protocol):
    """Events -> bytes of a downstream stream. A new one for every response."""

    def encode(self, event: Event) -> bytes:
        """The bytes to write for this event, maybe none. The dialect's end mark ([DONE], message_stop) only on ResponseEnd."""
        ...


class UsageTap(Protocol):
    """Reads along while bytes are relayed unchanged. Cheap: it searches for marks and parses only what it must.

    `started`: the first event that is not a comment or a ping is complete. `complete`: the provider said the answer is
    whole. `error`: the failure that the provider reported inside the stream, `error_status` the HTTP status it stands for
    (0 without one). Correct for chunks cut anywhere.
    """

    started: bool
    complete: bool
    usage: Usage | None
    error: ErrorDetail | None
    error_status: int

    def feed(self, chunk: bytes) -> None: ...


class UpstreamDialect(Protocol):
    """We are the client.

    A dialect may also have: `poll(response: HttpResponse) -> Poll | None`, where an answer is created first and asked for
    until it is there; `upload(request) -> Upload | None`, where a file is sent first and by itself (`encode_request` leaves its
    field out then); `request_path(request) -> str`, used in place of `path` where what is asked for stands in the path or
    its query; `stream_at(response: HttpResponse) -> Poll | None`, the address at which an answer that is created first can
    be read as it is written (None: poll for it); `stream_accept`, the media type of a stream that is not SSE;
    `decode_binary = True`, where answers are no JSON and `decode_response(body, content_type)` needs to know what they are;
    `same_as`, the name of the dialect that it is but for the envelope, whose clients are relayed.
    """

    name: str

    def path(self, model: str, *, stream: bool) -> str:
        """The path of the operation under the provider's base URL, beginning with a slash."""
        ...

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Headers every request of the dialect needs (a version), beside content-type and credentials."""
        ...

    def encode_request(self, request: ChatRequest) -> EncodedRequest:
        """The body for a provider. What the dialect cannot say is left out and becomes a Warning."""
        ...

    def decode_response(self, body: bytes) -> ChatResponse:
        """A 200 body. Raises ResponseDecodeError when it makes no sense; an error inside a 200 raises what it stands for."""
        ...

    def stream_decoder(self) -> StreamDecoder: ...

    def decode_error(self, status: int, body: bytes) -> ErrorDetail:
        """What a failure says, in whatever shape it comes (JSON, text, HTML, nothing). Never raises."""
        ...


class DownstreamDialect(Protocol):
    """We are the server.

    A dialect may also have `carry(request) -> (request, warnings)`: what becomes of a request that a provider answers in
    another dialect. Raises UnsupportedParamsError for one that would be answered wrongly there.
    """

    name: str

    def decode_request(self, body: bytes) -> ChatRequest:
        """A program's request. Raises BadRequestError that names the path, the value found and what is expected there."""
        ...

    def encode_response(self, response: ChatResponse, *, now: int) -> bytes: ...

    def stream_encoder(self, request: ChatRequest, *, now: int) -> StreamEncoder: ...

    def encode_error(self, error: DragomanError) -> bytes:
        """The body of an error answer in the shape that clients of this dialect read. The status is `error.status_code`."""
        ...

    def encode_stream_error(self, error: DragomanError) -> bytes:
        """The bytes that end a stream which broke: a typed error event, never the mark of a clean end."""
        ...


class RelayDialect(Protocol):
    """Both sides speak it: the body is edited at its top level only, the answer's bytes go through, a tap reads the usage."""

    def edit_request(self, envelope: Envelope, *, model: str, want_usage: bool) -> Envelope:
        """The envelope for upstream: the model replaced, and usage asked for in streams where the dialect needs asking."""
        ...

    def relay_filter(self, envelope: Envelope) -> Callable[[bytes], bytes] | None:
        """What takes out of relayed events (whole ones, as bytes) what is there only because we asked and the client did not.

        None where nothing has to be taken out.
        """
        ...

    def read_usage(self, body: bytes) -> Usage | None:
        """The usage in a plain 200 body, without reading the rest. None when there is none or the body is no JSON."""
        ...

    def stream_tap(self) -> UsageTap: ...


class Dialect(UpstreamDialect, DownstreamDialect, RelayDialect, Protocol):
    """A dialect with both halves, which can therefore also be relayed."""
