"""The keys that secrets are sealed with: out of the configuration, a file or the environment, in the form that Fernet takes.

No library is needed for that, and no key is ever shown. Called by `config`; `sealing` uses them.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path

from dragoman.core.errors import ConfigurationError
from dragoman.gateway.yaml_config import Document

VARIABLE = "DRAGOMAN_ENCRYPTION_KEY"
REMEDY = f"make a key with `openssl rand -base64 32`, give it to the gateway as {VARIABLE} and start it again"
_KEY = "server.encryption_key"


def configured(
    document: Document, given: str | tuple[str, ...] | None, file: str | None, env: Mapping[str, str]
) -> tuple[str, ...]:
    """The keys as Fernet takes them: those of the configuration, of a file, or of the environment; () without any.

    One text may hold several, with blanks or commas between. Raises ConfigurationError, which shows no key.
    """
    if given is not None and file is not None:
        raise document.error(f"{_KEY}_file", "give the key here or in encryption_key, not in both")
    if file is not None:
        return _read(_content(document, file), document.error(f"{_KEY}_file", f"{file}: {_EXPECTED}"))
    if given is not None:
        return _read(given if isinstance(given, str) else " ".join(given), document.error(_KEY, _EXPECTED))
    found = env.get(VARIABLE, "")
    return _read(found, ConfigurationError(f"{VARIABLE}: {_EXPECTED}")) if found.strip() else ()


_EXPECTED = "expected 32 random bytes in base64, as `openssl rand -base64 32` makes them; of several the first one encrypts"


def _content(document: Document, file: str) -> str:
    try:
        return Path(file).read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as problem:
        reason = getattr(problem, "strerror", None) or "this is no text of keys"
        raise document.error(f"{_KEY}_file", f"{file}: cannot be read: {reason}") from None


def _read(text: str, wrong: ConfigurationError) -> tuple[str, ...]:
    keys = []
    for word in text.replace(",", " ").split():
        try:
            key = b64decode(word.replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            raise wrong from None
        if len(key) != 32:
            raise wrong
        keys.append(urlsafe_b64encode(key).decode())
    if not keys:
        raise wrong
    return tuple(keys)
