"""Who asks: keys in every header, from memory once known; what scopes allow; who guesses is slowed down."""

from __future__ import annotations

from typing import Any

import pytest

from dragoman.core.errors import InvalidKeyError, PermissionDeniedError, RateLimitExceededError
from dragoman.gateway.governance import keys
from dragoman.gateway.governance.budgets import Book, Budget
from dragoman.gateway.governance.directory import Directory
from dragoman.gateway.governance.governance import Governance, Policy
from dragoman.gateway.governance.identity import Identity, master
from dragoman.gateway.governance.scopes import Reference, Scope
from dragoman.gateway.store.memory import MemoryStore
from support.governing import ADDRESS, KEY, NOW, ListJournal, change, facts, governed, header, run


@pytest.mark.parametrize(
    "name, value",
    [
        (b"authorization", b"Bearer KEY"),
        (b"authorization", b"bearer KEY"),
        (b"x-api-key", b"KEY"),
        (b"api-key", b"KEY"),
        (b"x-goog-api-key", b"KEY"),
        (b"x-litellm-api-key", b"KEY"),
        (b"ws-secret", b"KEY"),
    ],
)
def test_a_key_is_found_where_clients_put_it(name: bytes, value: bytes) -> None:
    assert keys.shown({name: value}.get) == b"KEY"


def test_what_is_kept_of_a_key_is_not_the_key() -> None:
    key = keys.generate(bytes(range(32)))
    assert key.startswith("sk-")
    assert len(key) == 46
    assert keys.hint(key) == "sk-..." + key[-4:]
    assert key not in keys.digest(key.encode())
    with pytest.raises(ValueError, match="32 random bytes"):
        keys.generate(b"short")


def test_a_known_key_is_answered_without_the_store() -> None:
    class Silent(MemoryStore):
        async def key(self, digest: str) -> Any:
            raise AssertionError("the store was asked")

    governance, identity = run(governed(Scope(kind="key", id="k")))
    governance.directory._store = Silent()
    assert governance.identify(header(), NOW) is identity


def test_the_configured_key_may_do_everything() -> None:
    governance = Governance(MemoryStore(), ListJournal(), worker="w")
    governance.trust("sk-master-0123456789")
    identity = governance.identify(header("sk-master-0123456789"), NOW)
    assert identity is not None
    assert identity.role == "admin"
    governance.admit(identity, facts("anything"), NOW)


def test_the_oldest_identity_is_forgotten_and_can_come_back_the_configured_one_too() -> None:
    async def scenario() -> None:
        directory = Directory(MemoryStore(), Book(), most=2)
        directory.trust(master("m"))
        for name in ("a", "b", "c"):
            directory.add(Identity(name, (Scope(kind="key", id=name),)))
        assert [name for name in ("m", "a", "b", "c") if directory.find(name)] == ["b", "c"]
        assert (await directory.load("m", NOW)).role == "admin"
        assert [name for name in ("m", "a", "b", "c") if directory.find(name)] == ["m", "c"]

    run(scenario())


@pytest.mark.parametrize(
    "scope, error, words",
    [
        (Scope(kind="key", id="k", blocked=True), PermissionDeniedError, "blocked"),
        (Scope(kind="key", id="k", expires=NOW), InvalidKeyError, "expired"),
        (Scope(kind="key", id="k", team="nowhere"), InvalidKeyError, "team of this API key is no longer there"),
    ],
)
def test_keys_that_are_no_good(scope: Scope, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        run(governed(scope))


def test_a_team_that_is_blocked_takes_its_keys_along_once_the_change_is_heard() -> None:
    async def scenario() -> None:
        team = Scope(kind="team", id="t")
        governance, _ = await governed(team, Scope(kind="key", id="k", team="t"))
        store = governance.directory._store
        await store.replace(Scope(kind="team", id="t", blocked=True), change(team, "block"))  # type: ignore[attr-defined]
        governance.changed([Reference("team", "t")])
        assert governance.identify(header(), NOW) is None
        with pytest.raises(PermissionDeniedError, match="team is blocked"):
            await governance.load(header(), ADDRESS, NOW)

    run(scenario())


@pytest.mark.parametrize(
    "scope, model, operation, allowed",
    [
        ({}, "anything", "chat", True),
        ({"models": ("gpt-4o",)}, "gpt-4o", "chat", True),
        ({"models": ("gpt-4o",)}, "gpt-4o-mini", "chat", False),
        ({"models": ("openai/*",)}, "openai/gpt-4o", "chat", True),
        ({"models": ("openai/*",)}, "anthropic/claude", "chat", False),
        ({"models": ("all-proxy-models",)}, "x", "chat", True),
        ({"models": ("no-default-models", "x")}, "x", "chat", False),
        ({"operations": ("embedding",)}, "x", "embedding", True),
        ({"operations": ("embedding",)}, "x", "chat", False),
        ({"routes": ("/v1/messages",)}, "x", "chat", False),
        ({"routes": ("/v1/chat/*",)}, "x", "chat", True),
    ],
)
@pytest.mark.parametrize("level", ["key", "team"])
def test_every_scope_must_allow_a_call(scope: dict[str, Any], model: str, operation: str, allowed: bool, level: str) -> None:
    own, above = (scope, {}) if level == "key" else ({}, scope)
    governance, identity = run(
        governed(Scope(kind="team", id="t", **above), Scope(kind="key", id="k", team="t", **{"rights": ("inference",), **own}))
    )
    asked = facts(model, operation=operation, route="/v1/chat/completions")
    for _ in range(2):  # what was found once is remembered
        if allowed:
            governance.admit(identity, asked, NOW)
        else:
            with pytest.raises(PermissionDeniedError):
                governance.admit(identity, asked, NOW)


def test_a_key_for_the_admin_api_calls_no_model() -> None:
    governance, identity = run(governed(Scope(kind="key", id="k", rights=("read", "manage"))))
    with pytest.raises(PermissionDeniedError, match="admin API only"):
        governance.admit(identity, facts(), NOW)


def test_who_guesses_is_slowed_down_and_nobody_else() -> None:
    async def scenario() -> None:
        governance, identity = await governed(Scope(kind="key", id="k"), policy=Policy(failures=3))
        for number in range(3):
            with pytest.raises(InvalidKeyError, match="not known"):
                await governance.load(header(f"sk-guess-{number}"), ADDRESS, NOW)
        with pytest.raises(RateLimitExceededError, match="too many wrong API keys"):
            await governance.load(header("sk-guess-4"), ADDRESS, NOW)
        assert governance.identify(header(), NOW) is identity  # a good key from the same address
        with pytest.raises(InvalidKeyError):
            await governance.load(header("sk-guess-5"), "198.51.100.1", NOW)
        with pytest.raises(InvalidKeyError):
            await governance.load(header("sk-guess-6"), ADDRESS, NOW + 60)

    run(scenario())


def test_no_key_is_told_how_to_show_one() -> None:
    governance = Governance(MemoryStore(), ListJournal(), worker="w")
    assert governance.identify({}.get, NOW) is None
    with pytest.raises(InvalidKeyError, match="Authorization: Bearer KEY"):
        run(governance.load({}.get, ADDRESS, NOW))


def test_a_rotated_key_goes_on_until_its_grace_is_over() -> None:
    async def scenario() -> None:
        governance, _ = await governed(Scope(kind="key", id="k"))
        new = "sk-" + "n" * 40
        store = governance.directory._store
        scope = Scope(kind="key", id="k")
        await store.rotate(scope, keys.digest(new.encode()), NOW + 60, change(scope, "regenerate"))  # type: ignore[attr-defined]
        governance.changed([scope.reference])
        old = await governance.load(header(), ADDRESS, NOW + 59)
        assert (await governance.load(header(new), ADDRESS, NOW)).key.id == old.key.id
        with pytest.raises(InvalidKeyError, match="expired"):
            governance.identify(header(), NOW + 60)

    run(scenario())


def test_a_tag_that_is_blocked_stops_calls_of_keys_that_stay_known() -> None:
    async def scenario() -> None:
        tag = Scope(kind="tag", id="batch")
        governance, identity = await governed(tag, Scope(kind="key", id="k"))
        asked = facts(tags=("batch",))
        await governance.prepare(identity, asked, NOW)
        governance.admit(identity, asked, NOW)
        store = governance.directory._store
        await store.replace(Scope(kind="tag", id="batch", blocked=True), change(tag, "block"))  # type: ignore[attr-defined]
        governance.changed([tag.reference])
        assert governance.identify(header(), NOW) is identity
        assert not governance.ready(identity, asked)
        await governance.prepare(identity, asked, NOW)
        with pytest.raises(PermissionDeniedError, match="tag is blocked"):
            governance.admit(identity, asked, NOW)

    run(scenario())


def test_end_users_without_a_record_get_the_policys_budget() -> None:
    async def scenario() -> None:
        policy = Policy(end_users=Scope(kind="end_user", id="", budgets=(Budget(nano=10),)))
        governance, identity = await governed(Scope(kind="key", id="k"), policy=policy)
        asked = facts(nano=10, end_user="ann")
        assert not governance.ready(identity, asked)
        await governance.prepare(identity, asked, NOW)
        assert governance.ready(identity, asked)
        governance.admit(identity, asked, NOW)
        with pytest.raises(Exception, match="end_user ann"):
            governance.admit(identity, asked, NOW)
        other = facts(nano=10, end_user="bob")
        await governance.prepare(identity, other, NOW)
        governance.admit(identity, other, NOW)

    run(scenario())


def test_without_a_price_a_budget_would_mean_nothing() -> None:
    budget = (Budget(nano=10),)
    governance, identity = run(governed(Scope(kind="key", id="k", budgets=budget)))
    with pytest.raises(PermissionDeniedError, match="no price is known for 'm'"):
        governance.admit(identity, facts(nano=None), NOW)
    allowed, identity = run(governed(Scope(kind="key", id="k", budgets=budget), policy=Policy(unpriced="allow")))
    allowed.admit(identity, facts(nano=None), NOW)
    free, identity = run(governed(Scope(kind="key", id="k")))
    free.admit(identity, facts(nano=None), NOW)


def test_no_key_is_in_what_people_may_see() -> None:
    governance, identity = run(governed(Scope(kind="key", id="k", hint=keys.hint(KEY))))
    hold = governance.admit(identity, facts(), NOW)
    assert KEY not in repr(identity) + repr(hold.row) + repr(identity.key)
