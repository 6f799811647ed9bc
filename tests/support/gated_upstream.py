"""A provider on a socket that says nothing by itself: the test takes each request and decides what is answered, and when."""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 60.0
"""Seconds until a wait is given up: for a busy machine, never for a working one."""


class Asked:
    """One request that came in, on a connection that serves no other. `head` is as bytes, `body` as JSON.

    Either one `answer`, or `begin`, any number of `write`, then `end`, or `close` to break it off.
    """

    def __init__(self, connection: socket.socket, head: bytes, body: bytes) -> None:
        self.head = head
        self.body: Any = json.loads(body) if body else None
        self.sent = 0
        self._connection = connection

    def answer(self, status: int, body: bytes = b"{}", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", "content-type: application/json", f"content-length: {len(body)}", *headers]
        self._send("\r\n".join([*lines, "connection: close", "", ""]).encode() + body)
        self.close()

    def begin(self) -> None:
        self._send(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n")
        self._send(b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n")

    def write(self, data: bytes) -> None:
        self._send(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        self._send(b"0\r\n\r\n")
        self.close()

    def close(self) -> None:
        self._connection.close()

    def wait_until_gone(self) -> None:
        """Until the other side has closed the connection."""
        try:
            while self._connection.recv(65536):
                pass
        except ConnectionError:
            pass

    def _send(self, data: bytes) -> None:
        self._connection.sendall(data)
        self.sent += len(data)


class GatedUpstream:
    """`url` has no path."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._requests: queue.Queue[Asked] = queue.Queue()
        self._connections: list[socket.socket] = []
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, name="gated-upstream")
        self._thread.start()

    def next(self) -> Asked:
        return self._requests.get(timeout=PATIENCE)

    @property
    def waiting(self) -> int:
        return self._requests.qsize()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        """One request a connection: whoever asks again gets a new one, or waits in vain."""
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE)
            self._connections.append(connection)
            try:
                self._requests.put(_read(connection))
            except (ConnectionError, TimeoutError):
                connection.close()


def _read(connection: socket.socket) -> Asked:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _some(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    while len(body) < int(fields.get(b"content-length", 0)):
        body += _some(connection)
    return Asked(connection, head, body)


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError
    return data


@contextmanager
def gated_upstream() -> Iterator[GatedUpstream]:
    upstream = GatedUpstream()
    try:
        yield upstream
    finally:
        upstream.close()
