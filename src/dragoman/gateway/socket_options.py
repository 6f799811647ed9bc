"""Two options of a connection's socket that neither uvicorn nor the event loop sets for us. Other transports are left alone."""

from __future__ import annotations

import asyncio
import socket
import struct

_AT_ONCE = struct.pack("ii", 1, 0)  # linger: on, for no time


def send_at_once(transport: asyncio.BaseTransport) -> None:
    """Small writes do not wait for acknowledgements. asyncio sees to it only if the listening socket named IPPROTO_TCP."""
    _set(transport, socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def reset_on_close(transport: asyncio.BaseTransport) -> None:
    """The peer will see an error instead of a clean end."""
    _set(transport, socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)


def _set(transport: asyncio.BaseTransport, level: int, option: int, value: int | bytes) -> None:
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(level, option, value)
