"""What every exchange does alike: header lookup, and who is told when the client goes away or reads too slowly.

It refuses to write: framing is the subclass's. `protocol_exchange` and `asgi_exchange` build on it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

ALREADY_SENT = "the answer went out before: an exchange takes one `respond`, or one `start`"
NOT_BEGUN = "`write` and `finish` come after `start`, and before the answer is finished"


class BaseExchange(ABC):
    """The first half of `exchange.Exchange`. Defaults stay on the class: most requests never store them.

    `response_started`: bytes of the answer went out. `response_complete`: nothing more will.
    """

    method: str
    path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    client: str
    body: bytes = b""
    disconnected: bool = False
    response_started: bool = False
    response_complete: bool = False
    _named: dict[bytes, bytes] | None = None
    _disconnect_callbacks: list[Callable[[], None]] | None = None
    _pressure: tuple[Callable[[], None], Callable[[], None]] | None = None

    def header(self, name: bytes) -> bytes | None:
        return self.named.get(name)

    @property
    def named(self) -> Mapping[bytes, bytes]:
        """Header by name, in lower case; of several the first."""
        if self._named is None:
            self._named = dict(reversed(self.headers))
        return self._named

    def put_header(self, name: bytes, value: bytes) -> None:
        self.headers = [*(held for held in self.headers if held[0] != name), (name, value)]
        self._named = None

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        if self.disconnected:
            callback()
        elif self._disconnect_callbacks is None:
            self._disconnect_callbacks = [callback]
        else:
            self._disconnect_callbacks.append(callback)

    def on_pressure(self, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        self._pressure = (pause, resume)
        if self.under_pressure():
            pause()

    @abstractmethod
    def under_pressure(self) -> bool:
        """The client has yet to take too much of what was written."""

    # What the server does with it

    def lost(self) -> None:
        """The client is gone."""
        if self.disconnected or self.response_complete:
            return
        self.disconnected = True
        callbacks, self._disconnect_callbacks = self._disconnect_callbacks, None
        for callback in callbacks or ():
            callback()

    def pressure(self, *, paused: bool) -> None:
        if self._pressure is not None and not self.response_complete:
            self._pressure[0 if paused else 1]()
