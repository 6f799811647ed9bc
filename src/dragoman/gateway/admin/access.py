"""Who may see and change what through the admin API. Denied unless a rule here allows it. Pure.

    admin    everything                       viewer   sees everything
    manager  of a team: its keys and members; of an organisation: the teams, users, keys and members in it
    member   its own user's keys              reader   sees its own user and keys

Nobody but an admin changes what confines itself: a manager not its own team, and a key that is confined changes nothing.
"""

from __future__ import annotations

from dragoman.core.errors import PermissionDeniedError
from dragoman.gateway.governance.identity import Identity
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.standing import PRIORITY

READ, MANAGE = "read", "manage"
_GIVEN_BY_ADMINS = frozenset({"admin", "viewer"})


def check(identity: Identity, verb: str, scope: Scope) -> None:
    """Raises PermissionDeniedError. `scope` is what it is, or is to become: after a change both are checked."""
    if not may(identity, verb, scope):
        doing = "see" if verb == READ else "change"
        raise PermissionDeniedError(f"this key may not {doing} the {scope.kind.replace('_', ' ')} {scope.name}", attempts=0)


def check_role(identity: Identity, role: str) -> None:
    """Raises PermissionDeniedError for giving a role that reaches further than one's own."""
    if role in _GIVEN_BY_ADMINS and identity.role != "admin":
        raise PermissionDeniedError(f"only an admin may give the role {role}", attempts=0)


def check_priority(identity: Identity, before: Scope, after: Scope) -> None:
    """Raises PermissionDeniedError for another place in the router's queue than the one that was given."""
    if identity.role != "admin" and before.metadata.get(PRIORITY) != after.metadata.get(PRIORITY):
        raise PermissionDeniedError(f"metadata.{PRIORITY}: only an admin may say who goes first in the queue", attempts=0)


def check_everything(identity: Identity, verb: str = READ) -> None:
    """Raises PermissionDeniedError unless all scopes are open to it."""
    if not may_everything(identity, verb):
        raise PermissionDeniedError("only an admin may do this", attempts=0)


def may_everything(identity: Identity, verb: str = READ) -> bool:
    return _right(identity, verb) and identity.role in (("admin", "viewer") if verb == READ else ("admin",))


def may(identity: Identity, verb: str, scope: Scope) -> bool:
    if not _right(identity, verb):
        return False
    if identity.role == "admin":
        return True
    if verb == READ:
        return identity.role == "viewer" or _own(identity, scope) or _within(identity, scope, itself=True)
    if identity.key.narrow or identity.role not in ("manager", "member"):
        return False
    return _own_key(identity, scope) or _within(identity, scope, itself=False)


def _right(identity: Identity, verb: str) -> bool:
    return verb in identity.key.rights


def _own(identity: Identity, scope: Scope) -> bool:
    return scope.reference in identity.references or _own_key(identity, scope)


def _own_key(identity: Identity, scope: Scope) -> bool:
    """A key of the caller's own user, in no team but that of the caller's key."""
    key = identity.key
    return scope.kind == "key" and bool(key.user) and scope.user == key.user and scope.team in ("", key.team)


def _within(identity: Identity, scope: Scope, *, itself: bool) -> bool:
    """Whether it belongs to a team or organisation that the caller manages."""
    for held in identity.scopes:
        if held.role != "manager":
            continue
        if held.kind == "member" and scope.team == held.team:
            return True
        if held.kind == "user" and held.organization and scope.organization == held.organization:
            return True
        above = {"member": ("team", held.team), "user": ("organization", held.organization)}.get(held.kind)
        if itself and above == (scope.kind, scope.id):
            return True
    return False
