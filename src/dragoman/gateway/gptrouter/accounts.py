"""People who log in with e-mail and password, and the tokens they get. Passwords are kept as scrypt hashes and never shown.

A token is signed and holds no secret: it stands for the gateway key of its account for two weeks, and whatever that key may
do is judged as for the key itself. Who an e-mail belongs to cannot be found out by guessing: both failures are alike.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterable
from functools import cache
from hashlib import scrypt, sha256
from typing import Any

import msgspec
from msgspec import Struct

from dragoman.core.errors import ConfigurationError, InvalidKeyError

LIFETIME = 14 * 86400.0
PREFIX = b"gpr_"
_COST = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


class Account(Struct, frozen=True, kw_only=True):
    """`password` is what `hash_password` made; `key` is the gateway key that its tokens stand for, "" where none is needed."""

    id: str
    email: str
    password: str
    role: str = "admin"
    key: str = ""

    def __repr__(self) -> str:
        return f"Account({self.id}, {self.role})"


class _Ticket(Struct, frozen=True):
    account: str
    until: float


class Accounts:
    """`secret` signs tokens: the same in all workers, or the tokens of one are nothing to the others."""

    def __init__(
        self, accounts: Iterable[Account] = (), *, secret: bytes = b"", clock: Callable[[], float] = time.time
    ) -> None:
        self._by_email = {account.email.lower(): account for account in accounts}
        self._by_id = {account.id: account for account in self._by_email.values()}
        self._secret = secret or secrets.token_bytes(32)
        self._clock = clock

    async def login(self, email: str, password: str) -> dict[str, Any]:
        """The account with a new token. Raises InvalidKeyError."""
        account = self._by_email.get(email.lower())
        right = await asyncio.to_thread(lambda: is_password(password, account.password if account else _nobody()))
        if account is None or not right:
            raise InvalidKeyError("the e-mail or the password is wrong")
        return {"id": account.id, "email": account.email, "role": account.role, "token": self.token(account)}

    def token(self, account: Account) -> str:
        payload = _coded(msgspec.json.encode(_Ticket(account.id, self._clock() + LIFETIME)))
        return (PREFIX + payload + b"." + self._signature(payload)).decode()

    def header_for(self, authorization: bytes) -> bytes:
        """The `authorization` header with a token of ours replaced by the key that it stands for; others as they are.

        Raises InvalidKeyError for a token that is not valid any more.
        """
        scheme, _, shown = authorization.partition(b" ")
        if scheme.lower() != b"bearer" or not shown.startswith(PREFIX):
            return authorization
        payload, _, signature = shown[len(PREFIX) :].partition(b".")
        if not hmac.compare_digest(signature, self._signature(payload)):
            raise InvalidKeyError("this token was not made here: log in again")
        ticket = msgspec.json.decode(urlsafe_b64decode(payload), type=_Ticket)
        account = self._by_id.get(ticket.account)
        if account is None or ticket.until < self._clock():
            raise InvalidKeyError("this token is not valid any more: log in again")
        return b"Bearer " + account.key.encode()

    def _signature(self, payload: bytes) -> bytes:
        return _coded(hmac.new(self._secret, payload, sha256).digest())


def hash_password(password: str) -> str:
    """What is kept of a password: scrypt with a salt of its own."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_coded(salt).decode()}${_coded(scrypt(password.encode(), salt=salt, **_COST)).decode()}"


def is_password(password: str, kept: str) -> bool:
    scheme, _, rest = kept.partition("$")
    salt, _, expected = rest.partition("$")
    if scheme != "scrypt" or not expected:
        raise ConfigurationError("a password is not kept as `hash_password` makes it; make it anew")
    found = scrypt(password.encode(), salt=urlsafe_b64decode(salt), **_COST)
    return hmac.compare_digest(_coded(found), expected.encode())


def _coded(data: bytes) -> bytes:
    return urlsafe_b64encode(data)


@cache
def _nobody() -> str:
    """What an unknown e-mail's password is compared with, so that it takes as long."""
    return hash_password(secrets.token_hex(16))
