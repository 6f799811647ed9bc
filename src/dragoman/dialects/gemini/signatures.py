"""Signatures of thoughts: the vendor's own, and those of other providers on their way through a client of this dialect.

The vendor signs calls, texts and now and then a thought; clients read a signature as base64 bytes. What another provider
signed or sealed is wrapped for them, so that it is known again when it comes back and never reaches the vendor.
https://ai.google.dev/gemini-api/docs/thought-signatures
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from dragoman.core.chat import ReasoningPart
from dragoman.dialects.gemini.common import extra_of

SIGNED = "_signed"
"""The mark of a thought whose signature is the vendor's."""

_WRAPPED = b"dragoman:"
_BEGINNING = base64.b64encode(_WRAPPED).decode()  # nine bytes, so that it is the same whatever follows
_SIGNATURE, _REDACTED = b"signature:", b"redacted:"


def wrap(part: ReasoningPart) -> str | None:
    """What another provider signed or sealed, as a signature for a client of this dialect."""
    if part.redacted is not None:
        return base64.b64encode(_WRAPPED + _REDACTED + part.redacted.encode()).decode()
    if part.signature is not None:
        return base64.b64encode(_WRAPPED + _SIGNATURE + part.signature.encode()).decode()
    return None


def thought(text: str, signature: str | None, beside: dict[str, Any]) -> ReasoningPart:
    """A thought as it came, with the signature of whoever signed it; `beside` are its other fields."""
    if signature is None:
        return ReasoningPart(text=text, extra=extra_of(beside))
    sealed = _unwrapped(signature)
    if sealed is None:
        return ReasoningPart(text=text, signature=signature, extra=extra_of({**beside, SIGNED: True}))
    if sealed.startswith(_REDACTED):
        return ReasoningPart(text=text, redacted=sealed.removeprefix(_REDACTED).decode(), extra=extra_of(beside))
    return ReasoningPart(text=text, signature=sealed.removeprefix(_SIGNATURE).decode(), extra=extra_of(beside))


def _unwrapped(signature: str) -> bytes | None:
    """What was wrapped here; clients change the alphabet of base64."""
    if not signature.startswith(_BEGINNING):
        return None
    try:
        held = base64.b64decode(signature.replace("-", "+").replace("_", "/"), validate=True)
        held.decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return held.removeprefix(_WRAPPED)
