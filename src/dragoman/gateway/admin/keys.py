"""/key/*: virtual keys are made, shown once, changed, rotated, blocked and deleted. A key is named by its text, hash or id."""

from __future__ import annotations

from typing import Any

import msgspec

from dragoman.core.errors import BadRequestError, NotFoundError
from dragoman.gateway.admin import access, answers, shapes
from dragoman.gateway.admin.desk import MAX_PAGE, Ask, Desk, Handler, new_id
from dragoman.gateway.admin.shapes import Asked, given
from dragoman.gateway.governance import keys, windows
from dragoman.gateway.governance.scopes import Reference, Scope
from dragoman.gateway.store.base import Filter

MAX_GRACE = 90 * 86400.0
_HEXADECIMAL = frozenset("0123456789abcdef")


async def generate(desk: Desk, ask: Ask) -> Any:
    asked = ask.fields()
    return await create(desk, ask, asked)


async def create(desk: Desk, ask: Ask, asked: Asked) -> Any:
    """A new key; also what `/user/new` makes."""
    brought = given(asked.key)
    text = keys.chosen(brought) if brought else keys.generate(desk.chance(keys.RANDOM_BYTES))
    bare = Scope(kind="key", id=new_id(), hint=keys.hint(text), created=ask.now, created_by=ask.identity.key.id)
    scope = shapes.changed(await placed(desk, ask, bare, asked), asked, ask.now)
    access.check(ask.identity, access.MANAGE, scope)
    access.check_priority(ask.identity, bare, scope)
    _check_key(ask, scope)
    await desk.create(ask, scope, asked, keys.digest(text.encode()))
    return {"key": text, "token": keys.digest(text.encode()), **answers.scope(scope, 0, ask.now)}


async def placed(desk: Desk, ask: Ask, scope: Scope, asked: Asked) -> Scope:
    """The scope below the user, team and organisation that were asked for. Raises NotFoundError, BadRequestError."""
    user = scope.user if asked.user_id is msgspec.UNSET else asked.user_id or ""
    team = scope.team if asked.team_id is msgspec.UNSET else asked.team_id or ""
    if scope.kind == "key" and not user and not team and asked.user_id is msgspec.UNSET and ask.identity.role != "admin":
        user = ask.identity.key.user
    organization = scope.organization if asked.organization_id is msgspec.UNSET else asked.organization_id or ""
    above = [Reference(kind, id_) for kind, id_ in (("user", user), ("team", team)) if id_]
    found = await desk.store.scopes(above)
    for reference in above:
        if reference not in found:
            path = f"/{reference.kind}/new"
            raise NotFoundError(f"there is no {reference.kind} {reference.id!r}: make it first, with POST {path}", attempts=0)
    inherited = {held.organization for held in found.values() if held.organization}
    if len(inherited | ({organization} if organization else set())) > 1:
        raise BadRequestError("organization_id: the user, the team and the key must be of one organisation", attempts=0)
    organization = organization or next(iter(inherited), "")
    if organization:
        await desk.scope("organization", organization)
    template = scope.template if asked.budget_id is msgspec.UNSET else asked.budget_id or ""
    if template:
        await desk.scope("budget", template)
    return msgspec.structs.replace(scope, user=user, team=team, organization=organization, template=template)


def _check_key(ask: Ask, scope: Scope) -> None:
    access.check_role(ask.identity, scope.role)
    if scope.role not in ("", "admin", "viewer"):
        raise BadRequestError(
            "user_role: a key may have proxy_admin or proxy_admin_viewer; others come from its user", attempts=0
        )


async def info(desk: Desk, ask: Ask) -> Any:
    named = ask.query.get("key")
    scope = await _find(desk, named) if named else ask.identity.key
    access.check(ask.identity, access.READ, scope)
    spent = await desk.spent([scope])
    return {"key": scope.id, "info": answers.scope(scope, spent[scope.reference], ask.now)}


async def update(desk: Desk, ask: Ask) -> Any:
    asked = ask.fields()
    return await _update(desk, ask, asked, await _find(desk, given(asked.key)))


async def _update(desk: Desk, ask: Ask, asked: Asked, scope: Scope) -> Any:
    access.check(ask.identity, access.MANAGE, scope)
    new = await _changed(desk, ask, asked, scope)
    await desk.replace(ask, new, "update", asked)
    spent = await desk.spent([new])
    return {"key": new.id, **answers.scope(new, spent[new.reference], ask.now)}


async def _changed(desk: Desk, ask: Ask, asked: Asked, scope: Scope) -> Scope:
    new = shapes.changed(await placed(desk, ask, scope, asked), asked, ask.now)
    access.check(ask.identity, access.MANAGE, new)
    access.check_priority(ask.identity, scope, new)
    _check_key(ask, new)
    return new


async def regenerate(desk: Desk, ask: Ask) -> Any:
    """A new text for the same key. The old one goes on for `grace_period`, or ends now."""
    asked = ask.fields()
    scope = await _find(desk, ask.path.get("key") or given(asked.key))
    access.check(ask.identity, access.MANAGE, scope)
    text = keys.generate(desk.chance(keys.RANDOM_BYTES))
    new = msgspec.structs.replace(await _changed(desk, ask, asked, scope), hint=keys.hint(text))
    grace = given(asked.grace_period)
    until = ask.now + (min(windows.seconds(grace, "grace_period"), MAX_GRACE) if grace else 0)
    digest = keys.digest(text.encode())
    await desk.store.rotate(new, digest, until, desk.change(ask, "regenerate", new, shapes.detail(asked)))
    await desk.shipping.hear()
    spent = await desk.spent([new])
    return {"key": text, "token": digest, **answers.scope(new, spent[new.reference], ask.now)}


async def delete(desk: Desk, ask: Ask) -> Any:
    body = ask.plain()
    if body.get("key_aliases"):
        found = [await _by_alias(desk, alias) for alias in ask.names("key_aliases")]
    else:
        found = [await _find(desk, name) for name in ask.names("keys", "key")]
    for scope in found:
        access.check(ask.identity, access.MANAGE, scope)
    await desk.delete(ask, found)
    return {"deleted_keys": [scope.id for scope in found]}


def blocking(*, blocked: bool) -> Handler:
    async def handle(desk: Desk, ask: Ask) -> Any:
        scope = await _find(desk, given(ask.fields().key))
        access.check(ask.identity, access.MANAGE, scope)
        new = msgspec.structs.replace(scope, blocked=blocked, updated=ask.now)
        await desk.replace(ask, new, "block" if blocked else "unblock")
        spent = await desk.spent([new])
        return answers.scope(new, spent[new.reference], ask.now)

    return handle


async def listed(desk: Desk, ask: Ask) -> Any:
    """A page. Who may not see everything sees its own user's, or those of the team it asks for."""
    size, page = ask.number("size", 10, MAX_PAGE), ask.number("page", 1, 10**9)
    query = ask.query
    wanted = Filter(
        user=query.get("user_id", ""),
        team=query.get("team_id", ""),
        organization=query.get("organization_id", ""),
        alias=query.get("key_alias", ""),
    )
    if ask.identity.role not in ("admin", "viewer") or "read" not in ask.identity.key.rights:
        wanted = _own(ask, wanted)
    found, total = await desk.store.listed("key", wanted, limit=size, offset=(page - 1) * size)
    whole = query.get("return_full_object", "").lower() == "true"
    spent = await desk.spent(found) if whole else {}
    return {
        "keys": [answers.scope(scope, spent[scope.reference], ask.now) if whole else scope.id for scope in found],
        "total_count": total,
        "current_page": page,
        "total_pages": -(-total // size),
    }


def _own(ask: Ask, wanted: Filter) -> Filter:
    key = ask.identity.key
    if not wanted.team and not wanted.user and not wanted.organization:
        wanted = msgspec.structs.replace(wanted, user=key.user, team="" if key.user else key.team)
    typical = Scope(kind="key", id="", alias="these keys", user=wanted.user, team=wanted.team, organization=wanted.organization)
    access.check(ask.identity, access.READ, typical)
    return wanted


async def _find(desk: Desk, named: str | None) -> Scope:
    """A key by its text, its hash or its id. Raises NotFoundError, which does not repeat it."""
    if not named:
        raise BadRequestError("key: missing; give a key, its hash or its token_id", attempts=0)
    if named.startswith(keys.PREFIX):
        found = await desk.store.key(keys.digest(named.encode()))
    else:
        found = await desk.store.key(named) if len(named) == 64 and _HEXADECIMAL.issuperset(named) else None
    if found is not None:
        return found.scope
    scope = (await desk.store.scopes([Reference("key", named)])).get(Reference("key", named))
    if scope is None and not named.startswith(keys.PREFIX):
        found = await desk.store.key(keys.digest(named.encode()))  # a key that was chosen may begin with anything
        scope = found.scope if found else None
    if scope is None:
        raise NotFoundError("key: there is no such key", attempts=0)
    return scope


async def _by_alias(desk: Desk, alias: str) -> Scope:
    found, _ = await desk.store.listed("key", Filter(alias=alias), limit=2, offset=0)
    if len(found) != 1:
        raise NotFoundError(f"key_aliases: {len(found) or 'no'} keys are called {alias[:80]!r}: name it by its id", attempts=0)
    return found[0]
