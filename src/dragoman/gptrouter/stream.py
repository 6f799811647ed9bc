"""The bytes of a GPTRouter stream -> its events. Pure; the client feeds it.

A stream is over with its `end`; one that stops before it has broken and says so, and an `error` event is raised. The lines
are cut where the standard cuts them, so that text with any separator in it comes whole.
"""

from __future__ import annotations

from typing import Any

from dragoman.core import json
from dragoman.core.sse import ServerSentEvent, SSEDecoder, SSETooLargeError
from dragoman.gptrouter.exceptions import GPTRouterStreamingError
from dragoman.gptrouter.models import ChunkedGenerationResponse


class EventReader:
    """`ended`: the server said that the answer is complete. `text`: what has come so far."""

    def __init__(self) -> None:
        self._frames = SSEDecoder()
        self._pieces: list[str] = []
        self.ended = False

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def feed(self, piece: bytes) -> list[ChunkedGenerationResponse]:
        """The events that are complete by now; b"" is the end. Raises GPTRouterStreamingError."""
        try:
            frames = self._frames.feed(piece) if piece else self._frames.flush()
        except SSETooLargeError as problem:
            raise self._broken(str(problem)) from None
        found = []
        for frame in frames:
            event = None if self.ended else self._event(frame)
            if event is not None:
                found.append(event)
        if not piece and not self.ended:
            raise self._broken("the stream ended before the answer was complete")
        return found

    def _event(self, frame: ServerSentEvent) -> ChunkedGenerationResponse | None:
        if frame.event == "end":
            self.ended = True
            return None
        try:
            value = json.decode(frame.data)
        except (json.DecodeError, UnicodeDecodeError):
            return None  # [DONE] and the like, which some put at the end
        if not isinstance(value, dict):
            return None
        name, data = value.get("event"), value.get("data")
        if name == "error" or ("message" in value and name is None):
            raise self._broken(value)
        if name == "end":
            self.ended = True
        if not isinstance(name, str) or not isinstance(data, dict):
            return None
        if name == "update" and isinstance(data.get("text"), str):
            self._pieces.append(data["text"])
        return ChunkedGenerationResponse(event=name, data=data, id=value.get("id"), provider=value.get("provider"))

    def _broken(self, body: Any) -> GPTRouterStreamingError:
        error = GPTRouterStreamingError(body)
        error.text = self.text
        return error
