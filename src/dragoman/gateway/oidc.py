"""Signed tokens of an identity provider (OpenID Connect) in place of virtual keys: a token's claims -> the scope that asks.

Only tokens of the configured issuer and audience count, signed with an asymmetric key that it publishes. Keys are fetched when
a token names one that is not known, and kept while the issuer is away. Called by `governance` for what looks like a token;
who the token's user and team are beyond that is the store's to say.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import httpx2
import jwt

from dragoman.core import json
from dragoman.core.errors import InvalidKeyError, PermissionDeniedError, ServiceUnavailableError
from dragoman.gateway.config import OidcEntry
from dragoman.gateway.governance import keys
from dragoman.gateway.governance.directory import FoundKey
from dragoman.gateway.governance.scopes import ROLES, Scope

Fetch = Callable[[str], Awaitable[bytes]]
"""The body of a URL. Raises OSError, or another error of the client's, when it cannot be had."""

REFETCH_SECONDS = 30.0
"""Between two looks for a key that is not known: whoever makes up key ids must not make us ask for each."""
FETCH_SECONDS = 5.0
MAX_DOCUMENT = 1024 * 1024
LEEWAY_SECONDS = 30.0
"""How far the clock of the issuer may be from ours."""
_LOOKS = re.compile(rb"eyJ[\w-]+\.[\w-]+\.[\w-]+")
_MANAGES = frozenset({"admin", "manager", "member"})


async def fetch(url: str) -> bytes:
    """What is at the URL, which redirects nowhere. Raises httpx2's errors, and ValueError for more than a few keys take."""
    async with httpx2.AsyncClient(timeout=FETCH_SECONDS) as client, client.stream("GET", url) as response:
        response.raise_for_status()
        body = bytearray()
        async for piece in response.aiter_bytes():
            body += piece
            if len(body) > MAX_DOCUMENT:
                raise ValueError(f"{url} is larger than {MAX_DOCUMENT} bytes")
        return bytes(body)


class Tokens:
    """Of one issuer, for one worker."""

    def __init__(self, entry: OidcEntry, fetch: Fetch) -> None:
        self._entry = entry
        self._fetch = fetch
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched = -REFETCH_SECONDS
        self._one_by_one = asyncio.Lock()

    def recognises(self, key: bytes) -> bool:
        """Whether this looks like a token and not like a virtual key."""
        return _LOOKS.fullmatch(key) is not None

    async def key(self, token: bytes, now: float) -> FoundKey:
        """Who asks: a key that ends with the token, of its user and team.

        Raises InvalidKeyError, PermissionDeniedError, and ServiceUnavailableError when the issuer's keys cannot be had.
        """
        claims = await self._claims(token, now)
        user = _text(claims, self._entry.user_claim)
        if user is None:
            raise PermissionDeniedError(f"the token has no claim {self._entry.user_claim}, which says who it is", attempts=0)
        role = self._role(claims)
        held = Scope(
            kind="key",
            id=f"token:{user}"[:260],
            alias=f"token of {user}"[:260],
            user=user,
            team=self._team(claims),
            role=role,
            rights=("inference", "read", "manage") if role in _MANAGES else ("inference", "read"),
        )
        return FoundKey(keys.digest(token), held, float(claims["exp"]) + LEEWAY_SECONDS)

    async def _claims(self, token: bytes, now: float) -> dict[str, Any]:
        """The claims of a token whose signature, issuer, audience and times are right."""
        try:
            identity = jwt.get_unverified_header(token).get("kid", "")
            signer = await self._signer(identity if isinstance(identity, str) else "", now)
            claims: dict[str, Any] = jwt.decode(
                token,
                signer,
                algorithms=list(self._entry.algorithms),
                audience=self._entry.audience,
                issuer=self._entry.issuer,
                options={"require": ["exp", "iss", "aud"], "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except jwt.PyJWTError as problem:
            raise InvalidKeyError(f"the token is not valid: {problem}") from None
        _check_times(claims, now)
        return claims

    async def _signer(self, identity: str, now: float) -> jwt.PyJWK:
        """The issuer's key of this id. A token without an id may use the only key there is."""
        if identity not in self._keys:
            async with self._one_by_one:  # who comes while somebody fetches waits for what that brings
                if identity not in self._keys and now - self._fetched >= REFETCH_SECONDS:
                    self._fetched = now
                    await self._refetch()
        if not self._keys:
            raise ServiceUnavailableError(f"the keys of {self._entry.issuer} could not be had; try again later", attempts=0)
        found = self._keys.get(identity)
        if found is None and not identity and len(self._keys) == 1:
            found = next(iter(self._keys.values()))
        if found is None:
            raise InvalidKeyError("the token is signed with a key that its issuer does not publish")
        return found

    async def _refetch(self) -> None:
        try:
            url = self._entry.jwks_url or await self._discovered()
            published = jwt.PyJWKSet.from_json((await self._fetch(url)).decode())
        except Exception as problem:  # noqa: BLE001 - whatever another server can do wrong
            if self._keys:
                return  # those we have are as good as they were
            raise ServiceUnavailableError(f"the keys of {self._entry.issuer} cannot be had: {problem}", attempts=0) from None
        self._keys = {key.key_id or "": key for key in published.keys if key.public_key_use in (None, "sig")}

    async def _discovered(self) -> str:
        found = json.decode(await self._fetch(f"{self._entry.issuer.rstrip('/')}/.well-known/openid-configuration"))
        if found["issuer"] != self._entry.issuer:
            raise ValueError(f"it calls itself {found['issuer']}")
        url: str = found["jwks_uri"]
        return url

    def _role(self, claims: Mapping[str, Any]) -> str:
        entry = self._entry
        said = _texts(claims, entry.role_claim) if entry.role_claim else ()
        ours = [entry.roles[name] for name in said if name in entry.roles]
        role = min(ours, key=ROLES.index) if ours else entry.default_role
        if role is None:
            raise PermissionDeniedError(
                f"no role of this token is known here; {entry.role_claim} says: {list(said)}", attempts=0
            )
        return role

    def _team(self, claims: Mapping[str, Any]) -> str:
        claim = self._entry.team_claim
        return next(iter(_texts(claims, claim)), "") if claim else ""


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    expires, begins = claims["exp"], claims.get("nbf", 0)
    if not (_is_number(expires) and _is_number(begins)):
        raise InvalidKeyError("the token is not valid: exp and nbf are numbers")
    if now >= expires + LEEWAY_SECONDS:
        raise InvalidKeyError("the token has expired; log in again")
    if now < begins - LEEWAY_SECONDS:
        raise InvalidKeyError("the token is not valid yet")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _text(claims: Mapping[str, Any], path: str) -> str | None:
    return next(iter(_texts(claims, path)), None)


def _texts(claims: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """The text, or the texts of a list, at a path of names; a claim whose own name has dots is found too."""
    value: Any = claims.get(path)
    if value is None:
        value = claims
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    listed: Iterable[Any] = value if isinstance(value, list) else (value,)
    return tuple(item for item in listed if isinstance(item, str) and item)
