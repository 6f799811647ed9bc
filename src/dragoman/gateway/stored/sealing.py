"""Secrets for the database: sealed with a key that the database does not have, opened in a gateway's memory and nowhere else.

Fernet of `cryptography` (AES and HMAC, https://github.com/fernet/spec) with several keys: the first seals, all open. What is
sealed names its entry, so a value that was moved to another row does not open.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dragoman.core.errors import ConfigurationError
from dragoman.gateway.governance.scopes import Reference
from dragoman.gateway.stored.keys import VARIABLE


class Sealing:
    """Raises ConfigurationError where the library is missing."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        try:
            from cryptography.fernet import Fernet, InvalidToken, MultiFernet  # noqa: PLC0415 - who stores none has it not
        except ImportError as missing:
            raise ConfigurationError(
                "credentials are encrypted with `cryptography`, which is not installed: pip install 'dragoman[secrets]'"
            ) from missing
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._refused = InvalidToken

    def seal(self, reference: Reference, values: Mapping[str, Any]) -> str:
        return self._fernet.encrypt(msgspec.json.encode([*reference, values])).decode()

    def open(self, reference: Reference, sealed: str) -> dict[str, Any]:
        """Raises ConfigurationError when none of the keys has sealed this, for this entry."""
        try:
            kind, id_, values = msgspec.json.decode(self._fernet.decrypt(sealed), type=tuple[str, str, dict[str, Any]])
        except (self._refused, msgspec.DecodeError):
            kind = id_ = ""
        if (kind, id_) != reference:
            raise ConfigurationError(
                f"the {reference.kind} {reference.id!r} in the database was not encrypted with a key that is here: add the key "
                f"that was used before to {VARIABLE}, behind the new one and with a comma between"
            )
        return values
