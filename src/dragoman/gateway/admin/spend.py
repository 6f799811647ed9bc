"""/spend/*, /global/spend/*, /audit: what was used and who changed what, out of the ledger and the audit log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from dragoman.core.errors import BadRequestError
from dragoman.gateway.admin import access, answers
from dragoman.gateway.admin.desk import MAX_PAGE, Ask, Desk, Handler
from dragoman.gateway.governance import keys
from dragoman.gateway.governance.scopes import Reference, Scope
from dragoman.gateway.store.base import FIRST_HASH, GROUPS, Filter, broken


async def logs(desk: Desk, ask: Ask) -> Any:
    """Rows of the ledger, the newest first. A list, as LiteLLM's; `page` and `page_size` go through it."""
    size, page = ask.number("page_size", 50, MAX_PAGE), ask.number("page", 1, 10**9)
    found = await _rows(desk, ask)
    return [answers.row(row) for row in await desk.store.rows(found, limit=size, offset=(page - 1) * size)]


def by(group: str) -> Handler:
    """Sums, the dearest first. With `page_size` a page of them."""

    async def handle(desk: Desk, ask: Ask) -> Any:
        sums = await desk.store.spending(group, await _rows(desk, ask))
        size, page = ask.number("page_size", len(sums) or 1, 10**9), ask.number("page", 1, 10**9)
        return [answers.spending(each, group) for each in sums[(page - 1) * size : page * size]]

    return handle


def grouped(usual: str) -> Handler:
    """Sums by what the query's `group_by` says, or the usual."""

    async def handle(desk: Desk, ask: Ask) -> Any:
        group = ask.query.get("group_by", usual)
        group = {"api_key": "key", "customer": "end_user"}.get(group, group)
        if group not in GROUPS:
            raise BadRequestError(f"group_by: {group[:40]!r} is none of {', '.join(GROUPS)}", attempts=0)
        return await by(group)(desk, ask)

    return handle


async def total(desk: Desk, ask: Ask) -> Any:
    """What was spent in all."""
    sums = await desk.store.spending("operation", await _rows(desk, ask))
    return {"spend": answers.dollars(sum(each.nano for each in sums)), "requests": sum(each.calls for each in sums)}


async def audit(desk: Desk, ask: Ask) -> Any:
    """The audit log beyond `after`, and whether this part of its chain of hashes holds."""
    access.check_everything(ask.identity)
    after = ask.number("after", 1, 10**15) if "after" in ask.query else 0
    changes = await desk.store.changes(max(0, after - 1), limit=MAX_PAGE)
    before, shown = (changes[0].hash, changes[1:]) if after and changes else (FIRST_HASH, changes)
    return {"changes": [answers.change(change) for change in shown], "unbroken": broken(shown, before) is None}


async def verify(desk: Desk, ask: Ask) -> Any:
    """Whether every counter is the sum of its rows."""
    access.check_everything(ask.identity)
    await desk.shipping.turn()
    problems = await desk.store.verify()
    return {
        "verified": not problems,
        "problems": [{**each.key._asdict(), **each._asdict(), "key": each.key} for each in problems],
    }


async def _rows(desk: Desk, ask: Ask) -> Filter:
    """The rows that were asked for; who may not see all sees those of its own user, key or team."""
    query = ask.query
    named = query.get("api_key", "")
    if named:
        found = await desk.store.key(keys.digest(named.encode()) if named.startswith(keys.PREFIX) else named)
        named = found.scope.id if found else named
    wanted = Filter(
        key=named,
        user=query.get("user_id", ""),
        team=query.get("team_id", ""),
        organization=query.get("organization_id", ""),
        end_user=query.get("end_user", ""),
        model=query.get("model", ""),
        request_id=query.get("request_id", ""),
        session=query.get("session_id", ""),
        tag=query.get("tag", ""),
        since=_day(query.get("start_date"), "start_date", end=False),
        until=_day(query.get("end_date"), "end_date", end=True),
    )
    return await _allowed(desk, ask, wanted)


async def _allowed(desk: Desk, ask: Ask, wanted: Filter) -> Filter:
    identity = ask.identity
    if identity.role in ("admin", "viewer"):
        access.check_everything(identity)
        return wanted
    if not (wanted.key or wanted.user or wanted.team or wanted.organization):
        wanted = msgspec.structs.replace(
            wanted, **({"user": identity.key.user} if identity.key.user else {"key": identity.key.id})
        )
    if wanted.key:
        key = Reference("key", wanted.key)
        scope = (await desk.store.scopes([key])).get(key) or Scope(kind="key", id=wanted.key)
    elif wanted.user:
        scope = Scope(kind="user", id=wanted.user)
    elif wanted.team:
        scope = Scope(kind="key", id="", alias=f"usage of team {wanted.team}", team=wanted.team)
    else:
        scope = Scope(kind="key", id="", alias=f"usage of {wanted.organization}", organization=wanted.organization)
    access.check(identity, access.READ, scope)
    return wanted


def _day(text: str | None, field: str, *, end: bool) -> float:
    """A day or a time in ISO 8601 as Unix seconds, UTC when it names no zone. A day as an end means its end."""
    if not text:
        return 0.0
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequestError(f"{field}: {text[:40]!r} is no date; write 2026-11-24, or a time", attempts=0) from None
    found = found.replace(tzinfo=found.tzinfo or UTC)
    if end and len(text) == len("2026-11-24"):
        found += timedelta(days=1)
    return found.timestamp()
