"""Scopes: organisations, teams, members, users, keys, end users and tags are one kind of thing, with budgets, limits and lists.

    organization > team > member (a user in a team) > user > key            and beside them: end_user, tag

Every scope that a call touches must allow it. An empty list allows everything. Here is what a scope is and what it may; how
they are kept is the store's business, who a caller is `identity`'s. Nothing here reads a clock.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, NamedTuple, NoReturn

from msgspec import Struct

from dragoman.core.errors import InvalidKeyError, PermissionDeniedError
from dragoman.gateway.governance.budgets import Budget
from dragoman.gateway.governance.limits import Limit
from dragoman.gateway.governance.thrift import Thrift

KINDS = ("organization", "team", "member", "user", "key", "end_user", "tag", "budget")
"""The widest first. A "budget" is a template by whose id others may be given its budgets and limits."""

RIGHTS = ("inference", "read", "manage")
"""What a key may be for: calling models; reading of what is its owner's; changing it. A role says how far that goes."""
ROLES = ("admin", "viewer", "manager", "member", "reader")
"""`admin` may do everything, `viewer` see everything; `manager` is an admin of its own organisation or team; `member` manages
its own keys and `reader` sees them."""

EVERYTHING = frozenset({"*", "all-proxy-models", "all-team-models"})
NOTHING = "no-default-models"


class Reference(NamedTuple):
    """Names a scope."""

    kind: str
    id: str


class Scope(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`models`, `operations`, `routes` are globs. `expires`, `created`, `updated` are Unix seconds.

    Of a key: `hint` is what may be seen of it, `rights` what it is for, `tags` mark its calls. Of a member: `role` is that in
    its team, and its id is TEAM/USER. `template` is the id of a "budget" whose budgets and limits hold as well. `thrift`: who
    is asked instead while a budget of its own is nearly spent; `aliases`: names of its own for models. Neither is of end users
    and tags.
    """

    kind: str
    id: str
    alias: str = ""
    organization: str = ""
    team: str = ""
    user: str = ""
    role: str = ""
    template: str = ""
    models: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    rights: tuple[str, ...] = ("inference", "read")
    budgets: tuple[Budget, ...] = ()
    limits: tuple[Limit, ...] = ()
    thrift: Thrift | None = None
    aliases: dict[str, str] = {}
    tags: tuple[str, ...] = ()
    metadata: dict[str, Any] = {}
    blocked: bool = False
    expires: float | None = None
    hint: str = ""
    created: float = 0.0
    updated: float = 0.0
    created_by: str = ""

    @property
    def reference(self) -> Reference:
        return Reference(self.kind, self.id)

    @property
    def parents(self) -> tuple[Reference, ...]:
        """The scopes above it, the widest first."""
        above = [Reference("organization", self.organization), Reference("team", self.team)]
        if self.team and self.user:
            above.append(Reference("member", member_id(self.team, self.user)))
        above.append(Reference("user", self.user))
        return tuple(reference for reference in above if reference.id and reference != self.reference)

    @property
    def narrow(self) -> bool:
        """Somebody has confined it, so it must not make anything that is wider."""
        confined = self.models or self.operations or self.routes or self.budgets or self.limits or self.template
        return bool(confined or self.expires)

    def check(self, now: float) -> None:
        """Raises PermissionDeniedError when blocked, InvalidKeyError when expired."""
        if self.blocked:
            raise PermissionDeniedError(f"this {self.kind.replace('_', ' ')} is blocked: {self.name}", attempts=0)
        if self.expires is not None and now >= self.expires:
            expired(self)

    @property
    def name(self) -> str:
        """For people; of a key never its hash."""
        return self.alias or self.hint or self.id


def expired(scope: Scope) -> NoReturn:
    raise InvalidKeyError(f"the {scope.kind.replace('_', ' ')} {scope.name} has expired; ask for a new one")


def member_id(team: str, user: str) -> str:
    return f"{team}/{user}"


def allows_model(scope: Scope, model: str) -> bool:
    if not scope.models:
        return True
    return NOTHING not in scope.models and any(name in EVERYTHING or fnmatchcase(model, name) for name in scope.models)


def allows_some(scope: Scope, pattern: str) -> bool:
    """As `allows_model`, also for a pattern of which it allows something."""
    part = NOTHING not in scope.models and any(fnmatchcase(name, pattern) for name in scope.models)
    return part or allows_model(scope, pattern)


def check_call(scope: Scope, model: str, operation: str, route: str) -> None:
    """Raises PermissionDeniedError that says what this scope may ask for instead."""
    if not allows_model(scope, model):
        raise _denied(scope, f"the model {model!r}", scope.models)
    for what, value, globs in (("operation", operation, scope.operations), ("route", route, scope.routes)):
        if globs and not any(fnmatchcase(value, glob) for glob in globs):
            raise _denied(scope, f"the {what} {value!r}", globs)


def _denied(scope: Scope, what: str, allowed: tuple[str, ...]) -> PermissionDeniedError:
    kind = scope.kind.replace("_", " ")
    return PermissionDeniedError(f"{kind} {scope.name} may not use {what}; it may use: {', '.join(allowed[:20])}", attempts=0)
