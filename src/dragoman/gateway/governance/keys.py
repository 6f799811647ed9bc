"""Virtual keys as text: where a request shows one, how one is made, and what is kept of it, which is its hash alone.

A key is shown to people once, when it is made. What is compared is never the key but its SHA-256: a key carries 256 bits of
chance, so neither a slow hash nor a salt would add anything, and how long a lookup of a hash takes tells nothing of the key.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256

from dragoman.core.errors import BadRequestError

PREFIX = "sk-"
RANDOM_BYTES = 32
MIN_LENGTH, MAX_LENGTH = 16, 512
"""Characters of a key that somebody chose, or showed."""

HEADERS = (b"x-api-key", b"api-key", b"x-goog-api-key", b"x-litellm-api-key", b"ws-secret")
"""Where a request may show its key when it has no bearer token: Anthropic, Azure, Gemini, LiteLLM, GPTRouter clients."""


def shown(header: Callable[[bytes], bytes | None]) -> bytes:
    """The key that a request shows, or b"". `header` looks one up by its lower-case name."""
    authorization = header(b"authorization")
    if authorization and authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip()
    return next((value for name in HEADERS if (value := header(name))), b"")


def digest(key: bytes) -> str:
    """What is kept of a key, in hexadecimal."""
    return sha256(key).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two digests are equal, in time that does not depend on where they differ."""
    return hmac.compare_digest(one, other)


def generate(chance: bytes) -> str:
    """A new key out of `RANDOM_BYTES` random bytes."""
    if len(chance) != RANDOM_BYTES:
        raise ValueError(f"a key is made of {RANDOM_BYTES} random bytes, not of {len(chance)}")
    return PREFIX + urlsafe_b64encode(chance).rstrip(b"=").decode()


def chosen(key: str) -> str:
    """A key that an admin brings. Raises BadRequestError, which does not repeat it."""
    if not (MIN_LENGTH <= len(key) <= MAX_LENGTH and key.isascii() and key.isprintable() and " " not in key):
        raise BadRequestError(f"key: expected {MIN_LENGTH} to {MAX_LENGTH} visible ASCII characters")
    return key


def hint(key: str) -> str:
    """What people may see of a key for ever after: "sk-...AbCd"."""
    return f"{PREFIX}...{key[-4:]}"
