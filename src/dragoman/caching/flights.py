"""Equal calls at one time: the first of them asks, the others wait for it. Of this process alone."""

from __future__ import annotations

from concurrent.futures import Future
from threading import Lock

Landing = Future[None]
"""Done when the first call is over, however that was. Nobody fails by waiting for it."""


class Flights:
    """Safe between threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._flying: dict[str, Landing] = {}

    def join(self, key: str) -> Landing | None:
        """What to wait for; None for the first, who has to say `land`."""
        with self._lock:
            flight = self._flying.get(key)
            if flight is None:
                self._flying[key] = Future()
            return flight

    def land(self, key: str) -> None:
        with self._lock:
            flight = self._flying.pop(key)
        flight.set_result(None)
