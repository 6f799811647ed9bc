"""/user, /team, /organization, /budget, /customer, /tag: the scopes that keys are in or calls belong to, all handled alike.

`Place` says how one kind is named in requests and answers. Deleting one deletes the keys and members in it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from dragoman.core.errors import BadRequestError, ConflictError
from dragoman.gateway.admin import access, answers, keys, shapes
from dragoman.gateway.admin.desk import MAX_PAGE, Ask, Desk, new_id
from dragoman.gateway.admin.shapes import Asked, given
from dragoman.gateway.governance.scopes import Reference, Scope, member_id
from dragoman.gateway.store.base import Filter

_ALL = 100_000
"""Scopes in one place that are looked at together."""


_BESIDE = ("end_user", "tag")
"""Known only when a call is: too late to choose its model."""


class Place(NamedTuple):
    """`id` names one in a body or a query, `ids` several. `inside` goes with it; what is in `refuses` must go first."""

    kind: str
    id: str
    ids: str
    inside: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()

    async def new(self, desk: Desk, ask: Ask) -> Any:
        asked = ask.fields()
        id_ = given(getattr(asked, self.id)) or new_id()
        own = msgspec.structs.replace(asked, **{self.id: msgspec.UNSET})
        bare = Scope(kind=self.kind, id=id_, created=ask.now, created_by=ask.identity.key.id)
        scope = shapes.changed(await keys.placed(desk, ask, bare, own), asked, ask.now)
        self._check(ask, scope)
        access.check_priority(ask.identity, bare, scope)
        await desk.create(ask, scope, asked)
        answer = answers.scope(scope, 0, ask.now)
        if self.kind == "user" and asked.auto_create_key is True:
            key = await keys.create(desk, ask, Asked(user_id=id_))
            answer |= {"key": key["key"], "token": key["token"]}
        return answer

    async def info(self, desk: Desk, ask: Ask) -> Any:
        scope = await desk.scope(self.kind, self._named(ask))
        access.check(ask.identity, access.READ, scope)
        spent = await desk.spent([scope])
        shown = answers.scope(scope, spent[scope.reference], ask.now)
        if self.kind not in ("user", "team"):
            return shown
        inside = {kind: await self._inside(desk, scope, kind) for kind in ("key", "member")}
        used = await desk.spent(inside["key"])
        return {
            self.id: scope.id,
            f"{self.kind}_info": shown,
            "keys": [answers.scope(key, used[key.reference], ask.now) for key in inside["key"]],
            "teams" if self.kind == "user" else "team_memberships": [answers.member(member) for member in inside["member"]],
        }

    async def update(self, desk: Desk, ask: Ask) -> Any:
        asked = ask.fields()
        old = await desk.scope(self.kind, given(getattr(asked, self.id)) or "")
        access.check(ask.identity, access.MANAGE, old)
        own = msgspec.structs.replace(asked, **{self.id: msgspec.UNSET})
        scope = shapes.changed(await keys.placed(desk, ask, old, own), asked, ask.now)
        self._check(ask, scope)
        access.check_priority(ask.identity, old, scope)
        if scope.organization != old.organization and (await self._inside(desk, old, "key")):
            raise ConflictError(
                f"organization_id: this {self.kind} has keys, which stay where they are: move those", attempts=0
            )
        await desk.replace(ask, scope, "update", asked)
        spent = await desk.spent([scope])
        return answers.scope(scope, spent[scope.reference], ask.now)

    async def delete(self, desk: Desk, ask: Ask) -> Any:
        found = [await desk.scope(self.kind, name) for name in ask.names(self.ids, self.id, "id")]
        gone = list(found)
        for scope in found:
            access.check(ask.identity, access.MANAGE, scope)
            for kind in self.refuses:
                if await self._inside(desk, scope, kind):
                    raise ConflictError(
                        f"the {self.kind} {scope.name} still has a {kind}: delete or move that first", attempts=0
                    )
            for kind in self.inside:
                gone += await self._inside(desk, scope, kind)
        await desk.delete(ask, gone)
        return {f"deleted_{self.ids}": [scope.id for scope in found], "deleted_keys": [s.id for s in gone if s.kind == "key"]}

    async def listed(self, desk: Desk, ask: Ask) -> Any:
        size, page = ask.number("page_size", 25, MAX_PAGE), ask.number("page", 1, 10**9)
        wanted = Filter(
            user=ask.query.get("user_id", "") if self.kind != "user" else "",
            team=ask.query.get("team_id", "") if self.kind != "team" else "",
            organization=ask.query.get("organization_id", "") if self.kind != "organization" else "",
        )
        if wanted.organization:
            typical = Scope(kind=self.kind, id="", alias="all of it", organization=wanted.organization)
            access.check(ask.identity, access.READ, typical)
        else:
            access.check_everything(ask.identity)
        found, total = await desk.store.listed(self.kind, wanted, limit=size, offset=(page - 1) * size)
        spent = await desk.spent(found)
        return {
            f"{self.kind}s": [answers.scope(scope, spent[scope.reference], ask.now) for scope in found],
            "total": total,
            "page": page,
            "page_size": size,
            "total_pages": -(-total // size),
        }

    async def block(self, desk: Desk, ask: Ask) -> Any:
        return await self._blocked(desk, ask, blocked=True)

    async def unblock(self, desk: Desk, ask: Ask) -> Any:
        return await self._blocked(desk, ask, blocked=False)

    async def _blocked(self, desk: Desk, ask: Ask, *, blocked: bool) -> Any:
        changed = []
        for name in ask.names(self.ids, self.id):
            scope = await desk.scope(self.kind, name)
            access.check(ask.identity, access.MANAGE, scope)
            changed.append(msgspec.structs.replace(scope, blocked=blocked, updated=ask.now))
        for scope in changed:
            await desk.replace(ask, scope, "block" if blocked else "unblock")
        return {self.ids: [scope.id for scope in changed], "blocked": blocked}

    def _check(self, ask: Ask, scope: Scope) -> None:
        access.check(ask.identity, access.MANAGE, scope)
        access.check_role(ask.identity, scope.role)
        if scope.thrift is not None and self.kind in _BESIDE:
            raise BadRequestError(
                f"cheaper_models: not of a {self.kind}; give them to keys, users, teams or budgets", attempts=0
            )
        if scope.aliases and self.kind in (*_BESIDE, "budget"):
            raise BadRequestError(
                f"aliases: not of a {self.kind}; give them to keys, users, teams or organizations", attempts=0
            )

    def _named(self, ask: Ask) -> str:
        """The one that the query or the body names; else the caller's own."""
        key = ask.identity.key
        own = {"user": key.user, "team": key.team, "organization": key.organization}.get(self.kind, "")
        given_name = ask.query.get(self.id) or ask.query.get("end_user_id") or own
        name = given_name if not ask.body else ask.names(self.ids, "names", "budgets", self.id)[0]
        if not name:
            raise BadRequestError(f"{self.id}: missing", attempts=0)
        return name

    async def _inside(self, desk: Desk, scope: Scope, kind: str) -> list[Scope]:
        found, _ = await desk.store.listed(
            kind, msgspec.structs.replace(Filter(), **{scope.kind: scope.id}), limit=_ALL, offset=0
        )
        return found


PLACES = {
    "user": Place("user", "user_id", "user_ids", inside=("key", "member")),
    "team": Place("team", "team_id", "team_ids", inside=("key", "member")),
    "organization": Place("organization", "organization_id", "organization_ids", refuses=("team", "user", "key")),
    "budget": Place("budget", "budget_id", "budget_ids"),
    "customer": Place("end_user", "user_id", "user_ids"),
    "end_user": Place("end_user", "user_id", "user_ids"),
    "tag": Place("tag", "name", "names"),
}
"""The first part of the path -> what is there."""


class Member(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    user_id: str
    role: str = "user"


class Membership(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The body of /team/member_*. `max_budget_in_team` is USD."""

    team_id: str
    member: Member | list[Member] | None = None
    user_id: str | None = None
    role: str | None = None
    max_budget_in_team: shapes.Dollars | None = None
    budget_duration: str | None = None


async def member_add(desk: Desk, ask: Ask) -> Any:
    body = _membership(ask)
    team = await desk.scope("team", body.team_id)
    members = body.member if isinstance(body.member, list) else [body.member] if body.member else []
    if not members:
        raise BadRequestError("member: expected {user_id, role}, or a list of them", attempts=0)
    for member in members:
        await desk.scope("user", member.user_id)
        await _write_member(desk, ask, team, member, body)
    return await _team(desk, ask, team)


async def member_update(desk: Desk, ask: Ask) -> Any:
    body = _membership(ask)
    team = await desk.scope("team", body.team_id)
    member = await desk.scope("member", member_id(team.id, body.user_id or ""))
    role = body.role or ("admin" if member.role == "manager" else "user")
    await _write_member(desk, ask, team, Member(user_id=member.user, role=role), body)
    return await _team(desk, ask, team)


async def member_delete(desk: Desk, ask: Ask) -> Any:
    body = _membership(ask)
    member = await desk.scope("member", member_id(body.team_id, body.user_id or ""))
    access.check(ask.identity, access.MANAGE, member)
    await desk.delete(ask, [member])
    return await _team(desk, ask, await desk.scope("team", body.team_id))


def _membership(ask: Ask) -> Membership:
    try:
        return msgspec.json.decode(ask.body or b"{}", type=Membership)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise BadRequestError(f"the request body: {problem}", attempts=0) from None


async def _write_member(desk: Desk, ask: Ask, team: Scope, member: Member, body: Membership) -> None:
    reference = Reference("member", member_id(team.id, member.user_id))
    old = (await desk.store.scopes([reference])).get(reference)
    bare = Scope(**reference._asdict(), team=team.id, user=member.user_id, organization=team.organization, created=ask.now)
    asked = Asked(role=member.role)
    if body.max_budget_in_team is not None:
        asked = Asked(role=member.role, max_budget=body.max_budget_in_team, budget_duration=body.budget_duration)
    scope = shapes.changed(old or bare, asked, ask.now)
    access.check(ask.identity, access.MANAGE, scope)
    await (desk.replace(ask, scope, "update", asked) if old else desk.create(ask, scope, asked))


async def _team(desk: Desk, ask: Ask, team: Scope) -> Any:
    access.check(ask.identity, access.READ, team)
    members, _ = await desk.store.listed("member", Filter(team=team.id), limit=_ALL, offset=0)
    spent = await desk.spent([team])
    shown = answers.scope(team, spent[team.reference], ask.now)
    return {**shown, "members_with_roles": [answers.member(member) for member in members]}
