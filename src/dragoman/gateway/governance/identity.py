"""Who asks: a virtual key with the scopes above it, put together once and then answered from memory by the key's hash.

An identity says what its scopes allow; it is thrown away and loaded anew when one of them is changed. `Failures` slows down
who tries keys that do not exist, by address, without ever locking out a key that does.
"""

from __future__ import annotations

from typing import Any

from dragoman.core.errors import PermissionDeniedError, RateLimitExceededError
from dragoman.gateway.governance import scopes
from dragoman.gateway.governance.budgets import Book, nearly_spent
from dragoman.gateway.governance.scopes import ROLES, Reference, Scope
from dragoman.gateway.governance.thrift import StandIn

MAX_CHECKED = 256
"""(model, operation, route) of one identity that are remembered as allowed; its plans are as many at most."""

MASTER = "master"
"""The id of the key in the configuration: it may do everything and has no budget of its own."""


class Identity:
    """`scopes` are those of the key that exist, the widest first, the key last; `references` names all it is made of.

    `until`: when this text of the key ends (a rotated one), Unix seconds. `thrifty`: the scopes that may want a cheaper model,
    the narrowest first. `aliases`: names of its own for models, the narrowest scope's where two have one. `plans` is the
    governance's memory of what a call of this identity touches.
    """

    __slots__ = ("_checked", "aliases", "digest", "key", "plans", "references", "role", "scopes", "tags", "thrifty", "until")

    def __init__(
        self, digest: str, held: tuple[Scope, ...], until: float | None = None, made_of: frozenset[Reference] = frozenset()
    ) -> None:
        self.digest = digest
        self.scopes = held
        self.key = held[-1]
        self.until = until
        self.references = made_of | {scope.reference for scope in held}
        self.role = _role(held)
        self.tags = tuple([tag for scope in held for tag in scope.tags])
        self.thrifty = tuple([scope for scope in reversed(held) if scope.thrift is not None and scope.budgets])
        self.aliases = {name: model for scope in held for name, model in scope.aliases.items()}
        self.plans: dict[Any, Any] = {}
        self._checked: set[tuple[str, str, str]] = set()

    def check(self, now: float) -> None:
        """Raises InvalidKeyError when expired or rotated away, PermissionDeniedError when a scope of it is blocked."""
        if self.until is not None and now >= self.until:
            scopes.expired(self.key)
        for scope in self.scopes:
            if scope.blocked or scope.expires is not None:
                scope.check(now)

    def check_call(self, model: str, operation: str, route: str) -> None:
        """Raises PermissionDeniedError unless every scope allows this."""
        asked = (model, operation, route)
        if asked in self._checked:
            return
        if "inference" not in self.key.rights:
            raise PermissionDeniedError("this key is for the admin API only and may not call models", attempts=0)
        for scope in self.scopes:
            scopes.check_call(scope, model, operation, route)
        if len(self._checked) < MAX_CHECKED:
            self._checked.add(asked)

    def may_use(self, model: str) -> bool:
        """A model of the gateway, or something of what a pattern of it serves."""
        return all(scopes.allows_some(scope, model) for scope in self.scopes)

    def stand_in(self, model: str, tags: tuple[str, ...], book: Book, now: float) -> StandIn | None:
        """A cheaper model that is to be asked in place of this one, because a budget is nearly spent."""
        for scope in self.thrifty:
            thrift = scope.thrift
            found = thrift.stand_in(model) if thrift else None
            if thrift is None or found is None or not all(scopes.allows_model(held, found) for held in self.scopes):
                continue
            for budget in scope.budgets:
                if budget.covers(model, self.tags + tags):
                    counter = book.counter(scope.kind, scope.id, budget.part, budget.span, now)
                    if thrift.wanted(counter.taken, budget.limit(now)):
                        return StandIn(found, nearly_spent(counter, budget, now))
        return None

    def __repr__(self) -> str:
        return f"Identity({self.key.name})"


def master(digest: str) -> Identity:
    """The identity of the key in the configuration."""
    return Identity(digest, (Scope(kind="key", id=MASTER, alias=MASTER, role="admin", rights=scopes.RIGHTS),))


def _role(held: tuple[Scope, ...]) -> str:
    """The key's own role, else the further one of its user's and its member's. Being of a team makes nobody an admin."""
    key = held[-1]
    if key.role:
        return key.role
    roles = [scope.role for scope in held if scope.kind == "user" and scope.role in ROLES]
    roles += [scope.role for scope in held if scope.kind == "member" and scope.role == "manager"]
    return min(roles, key=ROLES.index, default="reader")


class Failures:
    """Attempts with keys that do not exist, by client address, in each minute. Bounded: the oldest address is forgotten."""

    def __init__(self, allowed: int = 20, addresses: int = 10_000) -> None:
        self.allowed = allowed
        self._most = addresses
        self._seen: dict[str, tuple[int, int]] = {}

    def check(self, address: str, now: float) -> None:
        """Raises RateLimitExceededError when this address has failed too often."""
        minute, failed = self._seen.get(address, (0, 0))
        if minute == int(now // 60) and failed >= self.allowed:
            wait = 60 - now % 60
            raise RateLimitExceededError(
                f"too many wrong API keys from this address; try again in {wait:.0f} s", retry_after=wait
            )

    def record(self, address: str, now: float) -> None:
        current = int(now // 60)
        minute, failed = self._seen.pop(address, (0, 0))
        if len(self._seen) >= self._most:
            del self._seen[next(iter(self._seen))]
        self._seen[address] = (current, failed + 1 if minute == current else 1)
