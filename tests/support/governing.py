"""Small makers for tests of the gateway's governance: scopes, calls with an end, a governance over a store in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import cache
from typing import Any

from dragoman.core.chat import Usage
from dragoman.engine.call import Attempt, Call, Settlement
from dragoman.gateway.governance import keys
from dragoman.gateway.governance.facts import Facts
from dragoman.gateway.governance.governance import Governance, Policy
from dragoman.gateway.governance.identity import Identity
from dragoman.gateway.governance.ledger import Row
from dragoman.gateway.governance.limits import Amounts
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.store.base import Change
from dragoman.gateway.store.memory import MemoryStore
from dragoman.providers import registry
from dragoman.router.deployment import Deployment

NOW = 1_800_000_000.0
KEY = "sk-" + "k" * 40
ADDRESS = "203.0.113.9"


class ListJournal:
    """A journal that is a list."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def append(self, row: Row) -> None:
        self.rows.append(row)


def change(scope: Scope, action: str = "create", **fields: Any) -> Change:
    return Change(**{"at": NOW, "actor": "test", "action": action, "kind": scope.kind, "id": scope.id, **fields})


def header(key: str = KEY) -> Any:
    return {b"authorization": b"Bearer " + key.encode()}.get


async def stored(*scopes: Scope, key: str = KEY) -> MemoryStore:
    """A store of these scopes, the last one a key."""
    store = MemoryStore()
    for scope in scopes:
        await store.create(scope, change(scope), keys.digest(key.encode()) if scope is scopes[-1] else "")
    return store


async def governed(*scopes: Scope, key: str = KEY, policy: Policy | None = None) -> tuple[Governance, Identity]:
    """A governance over these scopes, and the identity of the last one, a key."""
    governance = Governance(await stored(*scopes, key=key), ListJournal(), worker="w", policy=policy)
    return governance, await governance.load(header(key), ADDRESS, NOW)


def facts(model: str = "m", nano: int | None = 0, tokens: int = 0, **others: Any) -> Facts:
    return Facts(**{"model": model, "operation": "chat", "nano": nano, "amounts": Amounts(tokens, 0), **others})


@cache
def deployment(name: str = "openai/gpt-4o-mini") -> Deployment:
    return Deployment(registry.resolve(name, api_key="sk-upstream", env={}))


def call(*, usage: Usage | None = None, error: Exception | None = None, cancelled: bool = False, sent: bool = True) -> Call:
    """A call that has ended so."""
    made = Call(operation="chat", dialect="openai_chat", model="m", body=b"{}", deployments=(deployment(),))
    if sent:
        made.attempts.append(Attempt(deployment=made.deployments[0], began=1.0, ended=1.25))
    made.settle(Settlement(usage=usage, error=error, cancelled=cancelled))
    return made


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)
