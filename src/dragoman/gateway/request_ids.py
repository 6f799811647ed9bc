"""Request ids: the client's own if it sent a sane one, else a fresh one, unique without asking the kernel for each."""

from __future__ import annotations

import re
import secrets
from itertools import count

_PREFIX = secrets.token_hex(6).encode()
_numbers = count(1)
_SANE = re.compile(rb"[A-Za-z0-9._:\-]{1,128}").fullmatch


def request_id(given: bytes | None) -> bytes:
    if given is not None and _SANE(given):
        return given
    return b"req_%b%08x" % (_PREFIX, next(_numbers))
