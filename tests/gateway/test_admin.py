"""The admin API: LiteLLM's shapes, denied by default, secrets shown once, every change at once and in the audit log."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.routing import Route

from dragoman.cli.keys import keys as command
from dragoman.core.errors import BudgetExceededError
from dragoman.gateway.governance.governance import Policy
from dragoman.gateway.store.shipping import Pace, begin
from support.admin_api import MASTER, Api
from support.governing import NOW

Scenario = Callable[[Api], Awaitable[None]]


@pytest.fixture(params=["memory", "sqlite"])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], None]:
    database = "" if request.param == "memory" else f"sqlite:///{tmp_path / 'gateway.db'}"

    async def whole(scenario: Scenario) -> None:
        governance, shipping = await begin(
            database=database,
            journal=tmp_path / "journal",
            master_key=MASTER,
            policy=Policy(failures=1000),
            pace=Pace(turn=60),
            clock=lambda: NOW,
        )
        try:
            await scenario(Api(governance, shipping))
        finally:
            await shipping.stop()

    return lambda scenario: asyncio.run(whole(scenario))


def test_a_key_is_made_shown_once_and_works(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        made = await api.post(
            "/key/generate",
            key_alias="ann",
            models=["gpt*"],
            max_budget=1.5,
            budget_duration="30d",
            rpm_limit=10,
            model_max_budget={"gpt-4o": {"budget_limit": 0.5, "time_period": "1d"}},
            duration="1d",
            metadata={"a": 1},
            tags=["t"],
        )
        assert made["key"].startswith("sk-")
        assert made["key_name"] == "sk-..." + made["key"][-4:]
        expected = {"max_budget": 1.5, "budget_duration": "30d", "rpm_limit": 10, "tpm_limit": None, "spend": 0, "tags": ["t"]}
        assert expected.items() <= made.items()
        assert made["expires"] == "2027-01-16T08:00:00Z"
        for name in (made["key"], made["token"], made["token_id"]):
            found = await api.client.get("/key/info", params={"key": name}, headers={"x-api-key": MASTER})
            assert found.json()["info"]["models"] == ["gpt*"]
            assert made["key"] not in found.text
        await api.spend(made["key"], 0.25, model="gpt-4o")
        info = (await api.client.get("/key/info", headers={"x-api-key": made["key"]})).json()["info"]
        assert info["spend"] == 0.25
        api.now += 86400
        await api.refused(401, "GET", "/key/info", key=made["key"])

    api(scenario)


@pytest.mark.parametrize(
    "body, param",
    [
        ({"max_bugdet": 1}, "max_bugdet"),
        ({"max_budget": -1}, "max_budget"),
        ({"max_budget": "much"}, "max_budget"),
        ({"budget_duration": "30d"}, "max_budget"),
        ({"max_budget": 1, "budget_duration": "soon"}, "budget_duration"),
        ({"duration": "1 day"}, "duration"),
        ({"guardrails": ["pii"]}, "guardrails"),
        ({"key_type": "super"}, "key_type"),
        ({"models": "gpt-4o"}, "models"),
        ({"budget_limits": [{"budget_limit": 1}, {"time_period": "1d"}]}, "budget_limits[1]"),
        ({"max_budget": 1, "temp_budget_increase": 5}, "temp_budget_expiry"),
        ({"user_role": "king"}, "user_role"),
        ({"key_alias": "a\x00b"}, "key_alias"),
        ({"key_alias": "x" * 129}, "key_alias"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], param: str, api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        error = await api.refused(400, "POST", "/key/generate", body)
        assert error["param"] == param
        assert error["message"].startswith(param)

    api(scenario)


def test_updates_change_what_they_name_and_hold_at_once(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        made = await api.post("/key/generate", max_budget=1, rpm_limit=5, key_alias="a")
        await api.spend(made["key"], 1)
        with pytest.raises(BudgetExceededError, match="used up"):
            await api.spend(made["key"], 0.5)
        body = {"key": made["key"], "max_budget": 3, "budget_duration": None}
        changed = (await api.ask("POST", "/key/update", body)).json()
        assert (changed["max_budget"], changed["rpm_limit"], changed["key_alias"], changed["spend"]) == (3, 5, "a", 1)
        await api.spend(made["key"], 0.5)
        body = {"key": made["token_id"], "max_budget": None, "rpm_limit": None}
        changed = (await api.ask("POST", "/key/update", body)).json()
        assert (changed["max_budget"], changed["rpm_limit"], changed["spend"]) == (None, None, 1.5)
        body = {"key": made["token"], "max_budget": 1, "temp_budget_increase": 9, "temp_budget_expiry": "1d"}
        changed = (await api.ask("POST", "/key/update", body)).json()
        assert changed["budget_limits"][0]["effective_limit"] == 10
        await api.spend(made["key"], 5)

    api(scenario)


async def _spends(api: Api, key: str, dollars: float, **asked: Any) -> bool:
    """Whether so much may be spent now; then it is."""
    try:
        await api.spend(key, dollars, **asked)
    except BudgetExceededError:
        return False
    return True


DAY = 86400.0


def test_several_windows_of_one_key_hold_at_once(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        windows = [{"budget_limit": 1, "time_period": "1d"}, {"budget_limit": 2.5, "time_period": "12mo"}]
        key = (await api.post("/key/generate", budget_limits=windows))["key"]
        found = []
        for day in range(3):
            api.now = NOW + day * DAY
            found.append([await _spends(api, key, 0.5) for _ in range(3)])
        assert found == [[True, True, False], [True, True, False], [True, False, False]]

    api(scenario)


def test_a_temporary_increase_holds_for_its_time(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        key = (await api.post("/key/generate", max_budget=1))["key"]
        assert [await _spends(api, key, 1) for _ in range(2)] == [True, False]
        more = {"key": key, "temp_budget_increase": 2, "temp_budget_expiry": "1d"}
        assert (await api.ask("POST", "/key/update", more)).status_code == 200
        assert await _spends(api, key, 1)
        api.now = NOW + DAY
        assert not await _spends(api, key, 1)

    api(scenario)


@pytest.mark.parametrize(
    "field, own, other",
    [
        ("model_max_budget", {"model": "gpt-4o"}, {"model": "gpt-4o-mini"}),
        ("tag_max_budget", {"tags": ("batch",)}, {"tags": ("web",)}),
    ],
)
def test_a_budget_of_a_model_or_tag_confines_that_alone(
    field: str, own: dict[str, Any], other: dict[str, Any], api: Callable[[Scenario], None]
) -> None:
    async def scenario(api: Api) -> None:
        named = next(iter(own.values()))
        name = named if isinstance(named, str) else named[0]
        key = (await api.post("/key/generate", **{field: {name: {"budget_limit": 1, "time_period": "1d"}}}))["key"]
        assert [await _spends(api, key, 1, **asked) for asked in (own, own, other, other)] == [True, False, True, True]

    api(scenario)


def test_somebody_is_told_at_the_shares_that_were_asked_for(
    api: Callable[[Scenario], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(api: Api) -> None:
        made = await api.post("/key/generate", budget_limits=[{"budget_limit": 10, "alert_at": [0.25, 0.9]}])
        assert made["budget_limits"][0]["alert_at"] == [0.25, 0.9]
        for dollars in (2, 1, 5, 1, 1):
            await api.spend(made["key"], dollars)
            await api.shipping.turn()

    api(scenario)
    assert [" ".join(message.split()[-5:]) for message in caplog.messages] == ["passed 25%: $3 of $10", "passed 90%: $9 of $10"]


def test_block_rotate_delete(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        old = (await api.post("/key/generate", max_budget=1))["key"]
        await api.spend(old, 0.5)
        await api.ask("POST", "/key/block", {"key": old})
        await api.refused(403, "GET", "/key/info", key=old)
        await api.ask("POST", "/key/unblock", {"key": old})
        new = (await api.ask("POST", f"/key/{old}/regenerate", {"grace_period": "1h"})).json()
        assert new["spend"] == 0.5  # it is the same key: what it spent goes with it
        await api.spend(old, 0.1)
        await api.spend(new["key"], 0.1)
        api.now += 3600
        await api.refused(401, "GET", "/key/info", key=old)
        newest = (await api.ask("POST", "/key/regenerate", {"key": new["key"]})).json()["key"]
        await api.refused(401, "GET", "/key/info", key=new["key"])
        assert (await api.ask("POST", "/key/delete", {"keys": [newest]})).json() == {"deleted_keys": [new["token_id"]]}
        await api.refused(401, "GET", "/key/info", key=newest)
        await api.refused(404, "POST", "/key/delete", {"keys": [newest]})

    api(scenario)


def test_teams_users_and_what_goes_with_them(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        await api.post("/organization/new", organization_id="o", max_budget=10)
        await api.post("/team/new", team_id="t", organization_id="o", models=["gpt*"], max_budget=2)
        user = await api.post("/user/new", user_id="u", user_role="internal_user", auto_create_key=True)
        assert user["key"].startswith("sk-")
        await api.post("/team/member_add", team_id="t", member={"user_id": "u", "role": "admin"}, max_budget_in_team=1)
        made = await api.post("/key/generate", team_id="t", user_id="u")
        assert made["organization_id"] == "o"
        await api.spend(made["key"], 1, model="gpt-4o")
        with pytest.raises(BudgetExceededError, match="member t/u is used up"):
            await api.spend(made["key"], 0.5, model="gpt-4o")
        team = await api.get("/team/info", team_id="t")
        assert team["team_info"]["spend"] == 1
        assert team["team_memberships"] == [{"user_id": "u", "team_id": "t", "role": "admin"}]
        assert (await api.get("/organization/info", organization_id="o"))["spend"] == 1
        await api.refused(409, "DELETE", "/organization/delete", {"organization_ids": ["o"]})
        await api.refused(400, "POST", "/key/generate", {"team_id": "t", "organization_id": "other"})
        await api.refused(404, "POST", "/key/generate", {"team_id": "nowhere"})
        gone = await api.post("/team/delete", team_ids=["t"])
        assert gone["deleted_keys"] == [made["token_id"]]
        await api.refused(401, "GET", "/key/info", key=made["key"])
        assert (await api.get("/organization/info", organization_id="o"))["spend"] == 1

    api(scenario)


def test_a_budget_by_its_id_follows_its_changes(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        await api.post("/budget/new", budget_id="small", max_budget=1)
        made = await api.post("/key/generate", budget_id="small")
        await api.spend(made["key"], 1)
        with pytest.raises(BudgetExceededError, match="used up"):
            await api.spend(made["key"], 1)
        await api.post("/budget/update", budget_id="small", max_budget=5)
        await api.spend(made["key"], 1)

    api(scenario)


def test_spending_is_reported(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        await api.post("/team/new", team_id="t")
        one, two = [await api.post("/key/generate", **body) for body in ({"team_id": "t"}, {})]
        await api.spend(one["key"], 1, model="m1", tags=("x",), request_id="r1")
        api.now += 10
        await api.spend(two["key"], 2, model="m2", end_user="eve")
        await api.shipping.turn()
        logs = await api.get("/spend/logs")
        assert [(line["model_group"], line["spend"], line["status"]) for line in logs] == [
            ("m2", 2.0, "success"),
            ("m1", 1.0, "success"),
        ]
        assert logs[0]["total_tokens"] == 7
        assert [line["request_id"] for line in await api.get("/spend/logs", request_id="r1")] == ["r1"]
        found = await api.client.get("/spend/logs", params={"api_key": one["key"]}, headers={"x-api-key": MASTER})
        assert [line["team_id"] for line in found.json()] == ["t"]
        assert (await api.get("/global/spend"))["spend"] == 3
        assert [line["spend"] for line in await api.get("/spend/tags")] == [1.0]
        report = await api.get("/global/spend/report", group_by="end_user")
        assert [(line["end_user"], line["spend"]) for line in report] == [("eve", 2.0), ("", 1.0)]
        assert await api.get("/global/spend/logs", end_date="2027-01-14") == []
        assert (await api.get("/ledger/verify")) == {"verified": True, "problems": []}
        await api.refused(400, "GET", "/spend/logs", start_date="yesterday")

    api(scenario)


def test_the_audit_log_tells_who_did_what_and_no_secret(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        made = await api.post("/key/generate", key_alias="a", metadata={"password": "hunter2"})
        await api.ask("POST", "/key/block", {"key": made["key"]})
        answer = await api.ask("GET", "/audit")
        found = answer.json()
        assert [(line["actor"], line["action"], line["id"]) for line in found["changes"]] == [
            ("master", "create", made["token_id"]),
            ("master", "block", made["token_id"]),
        ]
        assert found["unbroken"]
        assert not any(secret in answer.text for secret in (made["key"], MASTER, "hunter2"))

    api(scenario)


CALLERS = ("nobody", "wrong", "blocked", "expired", "inference", "plain", "member", "manager", "viewer")


async def callers(api: Api) -> dict[str, str | None]:
    """One key of every sort; the member and the manager belong to team "own"."""
    await api.post("/organization/new", organization_id="o")
    for team in ("own", "other"):
        await api.post("/team/new", team_id=team)
    for name, role in (("mem", "internal_user"), ("man", "internal_user"), ("see", "proxy_admin_viewer")):
        await api.post("/user/new", user_id=name, user_role=role)
    await api.post("/team/member_add", team_id="own", member=[{"user_id": "man", "role": "admin"}, {"user_id": "mem"}])
    found: dict[str, str | None] = {"nobody": None, "wrong": "sk-" + "w" * 40}
    wanted: dict[str, dict[str, Any]] = {
        "blocked": {"blocked": True},
        "expired": {"duration": "1s"},
        "inference": {"key_type": "llm_api"},
        "plain": {},
        "member": {"user_id": "mem", "team_id": "own", "key_type": "everything"},
        "manager": {"user_id": "man", "team_id": "own", "key_type": "everything"},
        "viewer": {"user_id": "see", "key_type": "everything"},
    }
    for name, fields in wanted.items():
        found[name] = (await api.post("/key/generate", **fields))["key"]
    await api.post("/model/new", model_name="m", litellm_params={"model": "demo/echo"}, model_info={"id": "held"})
    await api.post("/credentials", credential_name="held", credential_values={"api_key": "x"})
    api.now += 1
    return found


ALLOWED: dict[tuple[str, str, str], tuple[str, ...]] = {
    ("GET", "/team/info?team_id=own", ""): ("member", "manager", "viewer"),
    ("GET", "/team/info?team_id=other", ""): ("viewer",),
    ("GET", "/key/info", ""): ("plain", "member", "manager", "viewer"),
    ("GET", "/key/info?key=VICTIM", ""): ("viewer",),
    ("GET", "/key/list?team_id=own", ""): ("manager", "viewer"),
    ("GET", "/key/list?team_id=other", ""): ("viewer",),
    ("GET", "/spend/logs?team_id=own", ""): ("manager", "viewer"),
    ("GET", "/spend/logs?team_id=other", ""): ("viewer",),
    ("GET", "/spend/logs", ""): ("plain", "member", "manager", "viewer"),
    ("GET", "/user/list", ""): ("viewer",),
    ("GET", "/audit", ""): ("viewer",),
    ("POST", "/key/generate", '{"user_id":"mem"}'): ("member",),
    ("POST", "/key/generate", '{"team_id":"own"}'): ("manager",),
    ("POST", "/key/generate", '{"team_id":"other"}'): (),
    ("POST", "/key/generate", '{"user_id":"mem","user_role":"proxy_admin"}'): (),
    ("POST", "/key/generate", "{}"): ("member", "manager"),
    ("POST", "/key/update", '{"key":"VICTIM","max_budget":9}'): (),
    ("POST", "/key/block", '{"key":"VICTIM"}'): (),
    ("POST", "/key/regenerate", '{"key":"VICTIM"}'): (),
    ("POST", "/key/delete", '{"keys":["VICTIM"]}'): (),
    ("POST", "/team/update", '{"team_id":"own","max_budget":9}'): (),
    ("POST", "/team/new", '{"team_id":"mine"}'): (),
    ("POST", "/team/block", '{"team_ids":["own"]}'): (),
    ("POST", "/team/member_add", '{"team_id":"own","member":{"user_id":"see"}}'): ("manager",),
    ("POST", "/team/member_add", '{"team_id":"other","member":{"user_id":"man"}}'): (),
    ("POST", "/user/new", '{"user_id":"new","user_role":"proxy_admin"}'): (),
    ("POST", "/user/update", '{"user_id":"mem","user_role":"proxy_admin"}'): (),
    ("POST", "/organization/new", "{}"): (),
    ("POST", "/budget/new", '{"max_budget":1}'): (),
    ("GET", "/model/info", ""): ("plain", "member", "manager", "viewer"),
    ("POST", "/model/new", '{"model_name":"m","litellm_params":{"model":"demo/echo"}}'): (),
    ("POST", "/model/update", '{"model_info":{"id":"held"},"litellm_params":{"rpm":1}}'): (),
    ("PATCH", "/model/held/update", '{"litellm_params":{"rpm":1}}'): (),
    ("POST", "/model/delete", '{"id":"held"}'): (),
    ("GET", "/credentials", ""): ("viewer",),
    ("GET", "/credentials/by_name/held", ""): ("viewer",),
    ("POST", "/credentials", '{"credential_name":"c","credential_values":{"api_key":"x"}}'): (),
    ("PATCH", "/credentials/held", '{"credential_values":{"api_key":"x"}}'): (),
    ("DELETE", "/credentials/held", ""): (),
}
"""What is asked -> who gets it. Everybody else is refused."""


@pytest.mark.parametrize("asked", ALLOWED, ids=" ".join)
def test_denied_by_default(asked: tuple[str, str, str], tmp_path: Path) -> None:
    method, path, body = asked

    async def scenario() -> None:
        policy = Policy(failures=1000)
        governance, shipping = await begin(journal=tmp_path, master_key=MASTER, policy=policy, pace=Pace(turn=60))
        api = Api(governance, shipping)
        keys = await callers(api)
        victim = (await api.post("/key/generate", team_id="other"))["token_id"]
        for name in CALLERS:
            headers = {} if keys[name] is None else {"authorization": f"Bearer {keys[name]}"}
            target, content = (text.replace("VICTIM", victim) for text in (path, body))
            answer = await api.client.request(method, target, content=content or None, headers=headers)
            expected = 200 if name in ALLOWED[asked] else 401 if name in ("nobody", "wrong", "expired") else 403
            assert answer.status_code == expected, (name, answer.text)
        target, content = (text.replace("VICTIM", victim) for text in (path, body))
        answer = await api.client.request(method, target, content=content or None, headers={"x-api-key": MASTER})
        assert answer.status_code in (200, 409), answer.text  # the admin may; what another caller made already is there
        await shipping.stop()

    asyncio.run(scenario())


def test_no_route_answers_without_a_key(tmp_path: Path) -> None:
    async def scenario() -> None:
        governance, shipping = await begin(journal=tmp_path, master_key=MASTER, pace=Pace(turn=60))
        api = Api(governance, shipping)
        for route in api.routes:
            assert isinstance(route, Route)
            for method in (route.methods or set()) - {"HEAD"}:
                await api.refused(401, method, re.sub("{.*}", "x", route.path), {} if method != "GET" else None, key=None)
        await shipping.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [b"[", b"[]", b"\xff", b'{"key": 5}', b'{"keys": [1]}', b"[" * 100_000, b"x" * 2_000_000])
@pytest.mark.parametrize("path", ["/key/generate", "/key/delete", "/team/member_add", "/team/info"])
def test_bodies_that_make_no_sense(path: str, body: bytes, tmp_path: Path) -> None:
    async def scenario() -> None:
        governance, shipping = await begin(journal=tmp_path, master_key=MASTER, pace=Pace(turn=60))
        answer = await Api(governance, shipping).client.post(path, content=body, headers={"x-api-key": MASTER})
        assert answer.status_code in (400, 413), answer.text
        await shipping.stop()

    asyncio.run(scenario())


def test_a_confined_key_makes_nothing_wider(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        await api.post("/user/new", user_id="u", user_role="internal_user")
        confined = (await api.post("/key/generate", user_id="u", key_type="everything", models=["cheap"]))["key"]
        await api.refused(403, "POST", "/key/generate", {}, key=confined)
        await api.refused(403, "POST", "/key/update", {"key": confined, "models": []}, key=confined)

    api(scenario)


def test_nobody_but_an_admin_says_who_goes_first_in_the_queue(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        await api.post("/user/new", user_id="u", user_role="internal_user")
        own = (await api.post("/key/generate", user_id="u", key_type="management"))["key"]
        await api.refused(403, "POST", "/key/generate", {"metadata": {"priority": 0}}, key=own)
        made = await api.post("/key/generate", user_id="u", metadata={"priority": 200})
        for metadata in ({"priority": 1}, {}):
            await api.refused(403, "POST", "/key/update", {"key": made["key"], "metadata": metadata}, key=own)
        kept = {"key": made["key"], "metadata": {"priority": 200, "a": 1}}
        assert (await api.ask("POST", "/key/update", kept, key=own)).status_code == 200

    api(scenario)


def test_keys_on_the_command_line(tmp_path: Path) -> None:
    database = ["--database", f"sqlite:///{tmp_path / 'gateway.db'}"]
    runner = CliRunner()
    made = runner.invoke(command, ["create", *database, "--alias", "ann", "--max-budget", "2", "--model", "gpt*"])
    assert made.exit_code == 0, made.output
    key = made.stdout.strip()
    assert key.startswith("sk-")
    listed = runner.invoke(command, ["list", *database])
    assert "ann" in listed.stdout
    assert "of $2" in listed.stdout
    assert key not in listed.stdout
    gone = runner.invoke(command, ["revoke", *database, key])
    assert gone.stdout.startswith("deleted ")
    assert runner.invoke(command, ["list", *database]).stdout == ""
    assert "there is no such key" in str(runner.invoke(command, ["revoke", *database, key]).exception)


def test_usage_is_grouped_paged_and_given_as_csv(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        key = (await api.post("/key/generate"))["key"]
        for dollars, model in ((1, "=one"), (2, "two"), (4, "three")):
            await api.spend(key, dollars, model=model)
        await api.shipping.turn()
        usage = await api.get("/usage", key, group_by="model", page_size="2")
        assert [(line["model"], line["spend"]) for line in usage] == [("three", 4.0), ("two", 2.0)]
        usage = await api.get("/usage", key, group_by="model", page_size="2", page="2")
        assert [line["model"] for line in usage] == ["=one"]
        table = await api.ask("GET", "/usage", key=key, group_by="model", format="csv")
        assert table.headers["content-type"].startswith("text/csv")
        head, *lines = table.text.splitlines()
        assert head.startswith("model,spend,requests,")
        assert [line.split(",")[0] for line in lines] == ["three", "two", "'=one"]
        await api.refused(400, "GET", "/usage", group_by="moon")

    api(scenario)


def test_limits_of_every_kind_and_span(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        limits = [
            {"kind": "requests", "amount": 5, "time_period": "1h", "model": None},
            {"kind": "output_tokens", "amount": 7, "time_period": "1d", "model": "gpt*"},
            {"kind": "parallel", "amount": 2, "time_period": None, "model": None},
        ]
        asked = [{name: value for name, value in limit.items() if value is not None} for limit in limits]
        made = await api.post("/key/generate", limits=asked)
        assert made["limits"] == limits
        await api.refused(400, "POST", "/key/generate", {"limits": [{"kind": "requests", "amount": 1, "time_period": ""}]})
        await api.refused(400, "POST", "/key/generate", {"limits": [{"kind": "moons", "amount": 1}]})

    api(scenario)
