"""Models and credentials through the admin API: served at once, sealed in the database, never shown again."""

from __future__ import annotations

import asyncio
import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import ConfigurationError
from dragoman.gateway.store.shipping import Pace, begin
from dragoman.gateway.stored.models import MASK
from dragoman.gateway.stored.sealing import Sealing
from dragoman.gateway.stored.serving import StoredModels
from dragoman.router.model_list import ModelList, read_model_list
from dragoman.router.policy import Policy
from support.admin_api import ENCRYPTION_KEY, MASTER, Api
from support.governing import NOW
from support.postgres import fresh_database

Scenario = Callable[[Api], Awaitable[None]]
SECRET = "sk-marker-9f8e7d6c5b4a"
OTHER_KEY = urlsafe_b64encode(b"o" * 32).decode()
FILE = read_model_list(
    [
        {"model_name": "fast", "litellm_params": {"model": "demo/echo"}, "model_info": {"id": "of-the-file"}},
        {"model_name": "demo/*", "litellm_params": {"model": "demo/*"}},
    ],
    env={},
    aliases={"quick": "fast"},
)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def api(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Scenario], None]:
    """Runs a scenario on the API over a new store of each kind, beside a file with one model and one pattern."""
    server = request.getfixturevalue("postgres") if request.param == "postgresql" else ""

    async def whole(scenario: Scenario) -> None:
        database = await fresh_database(server) if server else f"sqlite:///{tmp_path / 'gateway.db'}"
        async with opened("" if request.param == "memory" else database, tmp_path) as api:
            await scenario(api)

    return lambda scenario: asyncio.run(whole(scenario))


@pytest.fixture
def simple(tmp_path: Path) -> Callable[[Scenario], None]:
    """As `api`, in memory."""

    async def whole(scenario: Scenario) -> None:
        async with opened("", tmp_path) as api:
            await scenario(api)

    return lambda scenario: asyncio.run(whole(scenario))


class opened:  # noqa: N801 - used as a function
    def __init__(self, database: str, folder: Path, **how: Any) -> None:
        self._database, self._folder, self._how = database, folder, how

    async def __aenter__(self) -> Api:
        governance, self._shipping = await begin(
            database=self._database, journal=self._folder / "journal", master_key=MASTER, pace=Pace(turn=60), clock=lambda: NOW
        )
        return Api(governance, self._shipping, models=FILE, **self._how)

    async def __aexit__(self, *_: object) -> None:
        await self._shipping.stop()


def targets(api: Api, name: str) -> list[tuple[str, str, str | None]]:
    """Who would be asked: provider and model, address, key."""
    group = api.policy.find(name)
    found = [node.deployment.target for node in group.nodes] if group else []
    return [(f"{target.provider.name}/{target.model}", target.base_url, target.api_key) for target in found]


OPENAI = "https://api.openai.com/v1"


def test_a_model_is_served_changed_and_gone_at_once(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        made = await api.post(
            "/model/new",
            model_name="gpt",
            litellm_params={"model": "openai/gpt-4o-mini", "api_key": SECRET, "rpm": 7},
            model_info={"base_model": "gpt-4o-mini"},
        )
        assert targets(api, "gpt") == [("openai/gpt-4o-mini", OPENAI, SECRET)]
        assert made["litellm_params"] == {"model": "openai/gpt-4o-mini", "api_key": MASK, "rpm": 7}
        assert made["model_info"] == {"base_model": "gpt-4o-mini", "id": made["model_id"], "db_model": True}
        changed = await api.post(
            "/model/update", model_info={"id": made["model_id"]}, litellm_params={"model": "openai/gpt-4o", "rpm": None}
        )
        assert changed["litellm_params"] == {"model": "openai/gpt-4o", "api_key": MASK}
        assert targets(api, "gpt") == [("openai/gpt-4o", OPENAI, SECRET)]
        await api.post("/model/delete", id=made["model_id"])
        assert targets(api, "gpt") == []
        await api.refused(404, "POST", "/model/delete", {"id": made["model_id"]})

    api(scenario)


def test_a_credential_is_what_its_models_use(api: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        values = {"api_key": SECRET, "api_base": "https://8.8.8.8/v1"}
        await api.post("/credentials", credential_name="theirs", credential_values=values, credential_info={"who": "they"})
        params = {"model": "openai/gpt-x", "litellm_credential_name": "theirs"}
        await api.post("/model/new", model_name="x", litellm_params=params, model_info={"id": "one"})
        assert targets(api, "x") == [("openai/gpt-x", "https://8.8.8.8/v1", SECRET)]
        answer = await api.ask("PATCH", "/credentials/theirs", {"credential_values": {"api_key": "sk-new"}})
        assert answer.status_code == 200, answer.text
        assert targets(api, "x") == [("openai/gpt-x", "https://8.8.8.8/v1", "sk-new")]
        error = await api.refused(409, "DELETE", "/credentials/theirs")
        assert "one" in error["message"]
        shown = await api.get("/credentials/by_name/theirs")
        assert shown["credential_values"] == {"api_key": MASK, "api_base": "https://8.8.8.8/v1"}
        assert shown["credential_info"] == {"who": "they"}
        await api.post("/model/delete", id="one")
        assert (await api.ask("DELETE", "/credentials/theirs")).status_code == 200
        assert (await api.get("/credentials"))["credentials"] == []

    api(scenario)


def test_another_worker_serves_it_after_its_next_look(tmp_path: Path) -> None:
    async def scenario() -> None:
        database = f"sqlite:///{tmp_path / 'gateway.db'}"
        async with opened(database, tmp_path / "a") as one, opened(database, tmp_path / "b") as two:
            await one.post("/credentials", credential_name="c", credential_values={"api_key": SECRET})
            params = {"model": "openai/gpt-x", "litellm_credential_name": "c"}
            made = await two.post("/model/new", model_name="x", litellm_params=params)  # it asks before it answers
            assert (await one.get("/model/info", litellm_model_id=made["model_id"]))["data"][0]["model_name"] == "x"
            made = await one.post("/model/new", model_name="y", litellm_params=params)
            assert targets(two, "y") == []
            await two.shipping.turn()
            assert targets(two, "y") == targets(one, "y") == [("openai/gpt-x", OPENAI, SECRET)]
            await two.ask("PATCH", "/credentials/c", {"credential_values": {"api_key": "sk-new"}})
            await one.shipping.turn()
            assert targets(one, "y") == [("openai/gpt-x", OPENAI, "sk-new")]
            await two.post("/model/delete", id=made["model_id"])
            await one.shipping.turn()
            assert targets(one, "y") == []

    asyncio.run(scenario())


def test_it_is_there_after_a_start_and_wants_the_key(tmp_path: Path) -> None:
    async def scenario() -> None:
        database = f"sqlite:///{tmp_path / 'gateway.db'}"
        async with opened(database, tmp_path) as api:
            await api.post("/model/new", model_name="x", litellm_params={"model": "openai/gpt-x", "api_key": SECRET})
        rotated = Sealing((OTHER_KEY, ENCRYPTION_KEY))
        async with opened(database, tmp_path, sealing=rotated) as api:
            await api.stored.start()
            assert targets(api, "x") == [("openai/gpt-x", OPENAI, SECRET)]
            await api.post("/model/new", model_name="y", litellm_params={"model": "openai/gpt-y", "api_key": SECRET})
        for sealing, said in ((None, "no key is here"), (Sealing((OTHER_KEY,)), "add the key that was used before")):
            async with opened(database, tmp_path, sealing=sealing) as api:
                with pytest.raises(ConfigurationError, match=said) as refused:
                    await api.stored.start()
                assert "DRAGOMAN_ENCRYPTION_KEY" in refused.value.message

    asyncio.run(scenario())


def test_without_a_key_nothing_is_stored_and_the_remedy_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened("", tmp_path, sealing=None) as api:
            body: dict[str, Any] = {"model_name": "x", "litellm_params": {"model": "demo/echo"}}
            for path, asked in (
                ("/model/new", body),
                ("/credentials", {"credential_name": "c", "credential_values": {"api_key": SECRET}}),
            ):
                error = await api.refused(400, "POST", path, asked)
                assert "DRAGOMAN_ENCRYPTION_KEY" in error["message"]
                assert "openssl rand -base64 32" in error["message"]
            assert [model["model_name"] for model in (await api.get("/model/info"))["data"]] == ["fast", "demo/*"]

    asyncio.run(scenario())


GOOD = {"model": "openai/gpt-x", "api_key": SECRET}


@pytest.mark.parametrize(
    "body, param, said",
    [
        ({"litellm_params": GOOD}, "model_name", "missing"),
        ({"model_name": "x"}, "litellm_params.model", "missing"),
        ({"model_name": "x", "litellm_params": {"model": "nobody/x"}}, "litellm_params", "no provider is called"),
        ({"model_name": "x", "litellm_params": {"model": "openai/x"}}, "litellm_params", "OPENAI_API_KEY"),
        ({"model_name": "x", "litellm_params": {**GOOD, "rpm": "many"}}, "litellm_params.rpm", "number"),
        ({"model_name": "x", "litellm_params": {**GOOD, "api_bsae": "https://x"}}, "litellm_params.api_bsae", "api_base"),
        ({"model_name": "x", "litellm_params": {**GOOD, "api_key": 5}}, "litellm_params.api_key", "text"),
        ({"model_name": "x", "litellm_params": {**GOOD, "headers": {"a": "b\nc"}}}, "litellm_params.headers", "control"),
        ({"model_name": "x*", "litellm_params": {**GOOD, "headers": {"a": "b\nc"}}}, "litellm_params.headers", "control"),
        ({"model_name": "x", "litellm_params": {**GOOD, "headers": {"a": 1}}}, "litellm_params.headers", "texts"),
        ({"model_name": "x", "litellm_params": {**GOOD, "organization": "a\r\nb: c"}}, "litellm_params.headers", "control"),
        ({"model_name": "x", "litellm_params": {**GOOD, "api_key": MASK}}, "litellm_params.api_key", "mask"),
        (
            {"model_name": "x", "litellm_params": {**GOOD, "api_key": "os.environ/HOME"}},
            "litellm_params.api_key",
            "environment",
        ),
        ({"model_name": "x", "litellm_params": {**GOOD, "user": ["os.environ/HOME"]}}, "litellm_params.user", "environment"),
        ({"model_name": "x", "litellm_params": {"model": "local//etc/x.gguf"}}, "litellm_params.model", "file"),
        ({"model_name": "x", "litellm_params": {**GOOD, "max_budget": 1}}, "litellm_params.max_budget", "budgets"),
        (
            {"model_name": "x", "litellm_params": {"model": "openai/x", "litellm_credential_name": "c"}},
            "litellm_params.litellm_credential_name",
            "no credential",
        ),
        ({"model_name": "quick", "litellm_params": GOOD}, "model_name", "alias"),
        ({"model_name": "*", "litellm_params": {**GOOD, "model": "*"}}, "litellm_params.model", "may be any provider"),
        ({"model_name": "x", "litellm_params": GOOD, "model_info": {"id": "of-the-file"}}, "model_info.id", "file"),
        ({"model_name": "x", "litellm_params": GOOD, "model_info": {"id": 5}}, "model_info.id", "text"),
        ({"model_name": "x", "litellm_params": GOOD, "model_info": {"team_id": "t"}}, "model_info.team_id", "not supported"),
        ({"model_name": "x", "litellm_params": GOOD, "modle_info": {}}, "the body", "modle_info"),
        ({"model_name": "a\x00b", "litellm_params": GOOD}, "model_name", "regex"),
    ],
)
def test_what_could_not_be_served_is_refused_before_it_is_stored(
    body: dict[str, Any], param: str, said: str, simple: Callable[[Scenario], None]
) -> None:
    async def scenario(api: Api) -> None:
        error = await api.refused(400, "POST", "/model/new", body)
        assert error["param"] == param
        assert said in error["message"]
        assert SECRET not in str(error)
        assert await api.shipping.store.entries() == []
        assert (await api.get("/audit"))["changes"] == []

    simple(scenario)


INSIDE = (
    "http://127.0.0.1:8000/v1",
    "https://localhost/v1",
    "http://169.254.169.254/latest",
    "http://10.1.2.3/v1",
    "http://0x7f.1/v1",
)


@pytest.mark.parametrize("url", (*INSIDE, "http://[::ffff:127.0.0.1]/v1", "http://2130706433/v1"))
def test_addresses_of_the_inside_are_refused(url: str, simple: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        error = await api.refused(400, "POST", "/model/new", {"model_name": "x", "litellm_params": {**GOOD, "api_base": url}})
        assert error["param"] == "litellm_params.api_base"
        values = {"api_key": SECRET, "base_url": url}
        error = await api.refused(400, "POST", "/credentials", {"credential_name": "c", "credential_values": values})
        assert error["param"] == "credential_values.base_url"
        api.stored.private = True
        await api.post("/credentials", credential_name="c", credential_values=values)

    simple(scenario)


def test_a_stored_key_goes_nowhere_but_where_it_was_given_for(simple: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        made = await api.post("/model/new", model_name="x", litellm_params=GOOD, model_info={"id": "m"})
        for moved in (
            {"api_base": "https://8.8.8.8/v1"},
            {"model": "groq/x"},
            {"custom_llm_provider": "groq"},
            {"api_base": "https://8.8.8.8/v1", "api_key": MASK},
        ):
            error = await api.refused(400, "POST", "/model/update", {"model_info": {"id": "m"}, "litellm_params": moved})
            assert "api_key anew" in error["message"]
        await api.post("/model/update", model_info={"id": "m"}, litellm_params={"model": "openai/gpt-z", "api_key": MASK})
        assert targets(api, "x") == [("openai/gpt-z", OPENAI, SECRET)]
        moved = {"api_base": "https://8.8.8.8/v1", "api_key": "sk-theirs"}
        await api.post("/model/update", model_info={"id": "m"}, litellm_params=moved)
        assert targets(api, "x") == [("openai/gpt-z", "https://8.8.8.8/v1", "sk-theirs")]
        assert made["model_id"] == "m"
        await api.post("/credentials", credential_name="c", credential_values={"api_key": SECRET})
        error = await api.refused(400, "PATCH", "/credentials/c", {"credential_values": {"api_base": "https://8.8.8.8/v1"}})
        assert error["param"] == "credential_values.api_base"
        for extra in ({"api_base": "https://8.8.8.8/v1"}, {"base_url": "https://8.8.8.8/v1"}, {"api_key": "sk-own"}):
            params = {"model": "openai/x", "litellm_credential_name": "c", **extra}
            error = await api.refused(400, "POST", "/model/new", {"model_name": "y", "litellm_params": params})
            assert "in the credential alone" in error["message"]

    simple(scenario)


ACCOUNT = {"type": "service_account", "client_email": "r@x", "private_key": SECRET}


def test_secrets_that_are_signed_with_stay_with_their_deployment(simple: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        aws = {"aws_access_key_id": "AKID", "aws_secret_access_key": SECRET, "aws_region_name": "eu-west-1"}
        google = {"vertex_credentials": json.dumps(ACCOUNT), "vertex_project": "p", "vertex_location": "us-central1"}
        for name, values, model in (("aws", aws, "bedrock/m"), ("google", google, "vertex_ai/gemini-2.5-flash")):
            shown = await api.post("/credentials", credential_name=name, credential_values=values)
            assert SECRET not in str(shown)
            await api.post("/model/new", model_name=name, litellm_params={"model": model, "litellm_credential_name": name})
        [bedrock], [vertex] = (api.policy.alone(name) for name in ("aws", "google"))
        assert bedrock.target.secrets == {"aws_access_key_id": "AKID", "aws_secret_access_key": SECRET}
        assert bedrock.target.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
        assert json.loads(vertex.target.secrets["vertex_credentials"]) == ACCOUNT
        for bad in (
            "/etc/passwd",
            json.dumps({**ACCOUNT, "type": "external_account"}),
            json.dumps({**ACCOUNT, "token_uri": "http://169.254.169.254/token"}),
        ):
            error = await api.refused(400, "PATCH", "/credentials/google", {"credential_values": {"vertex_credentials": bad}})
            assert error["param"] == "credential_values.vertex_credentials"
        params = {"model": "openai/x", "litellm_credential_name": "aws"}
        error = await api.refused(400, "POST", "/model/new", {"model_name": "x", "litellm_params": params})
        assert "openai does not take this" in error["message"]

    simple(scenario)


def test_a_credential_for_one_provider_goes_to_no_other(simple: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        await api.post(
            "/credentials",
            credential_name="c",
            credential_values={"api_key": SECRET},
            credential_info={"custom_llm_provider": "openai"},
        )
        params = {"model": "groq/x", "litellm_credential_name": "c"}
        error = await api.refused(400, "POST", "/model/new", {"model_name": "y", "litellm_params": params})
        assert "for openai, not for groq" in error["message"]
        await api.post("/model/new", model_name="y", litellm_params={**params, "model": "openai/*"})
        moved = {"credential_info": {"custom_llm_provider": "groq"}}
        error = await api.refused(400, "PATCH", "/credentials/c", moved)
        assert error["param"] == "credential_info.custom_llm_provider"
        assert "give api_key anew beside it" in error["message"]

    simple(scenario)


@pytest.mark.parametrize(
    "body, param",
    [
        ({"credential_values": {"api_key": "x"}}, "credential_name"),
        ({"credential_name": "c"}, "credential_values"),
        ({"credential_name": "a/b", "credential_values": {"api_key": "x"}}, "credential_name"),
        ({"credential_name": "c", "credential_values": {"azure_password": SECRET}}, "credential_values.azure_password"),
        ({"credential_name": "c", "credential_values": {"api_key": "os.environ/X"}}, "credential_values.api_key"),
        ({"credential_name": "c", "credential_values": {"api_key": ["x"]}}, "credential_values.api_key"),
        ({"credential_name": "c", "credential_values": {"api_base": "ftp://x"}}, "credential_values.api_base"),
    ],
)
def test_a_credential_that_nothing_could_use_is_refused(
    body: dict[str, Any], param: str, simple: Callable[[Scenario], None]
) -> None:
    async def scenario(api: Api) -> None:
        error = await api.refused(400, "POST", "/credentials", body)
        assert error["param"] == param
        assert SECRET not in str(error)

    simple(scenario)


def test_a_change_that_would_break_a_model_is_refused(simple: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        await api.post("/credentials", credential_name="c", credential_values={"api_key": SECRET})
        await api.post(
            "/model/new",
            model_name="x",
            litellm_params={"model": "openai/x", "litellm_credential_name": "c"},
            model_info={"id": "m"},
        )
        error = await api.refused(409, "PATCH", "/credentials/c", {"credential_values": {"api_key": None}})
        assert "the model 'm' uses this credential" in error["message"]
        await api.refused(400, "PATCH", "/credentials/c", {"credential_name": "d"})
        await api.refused(404, "PATCH", "/credentials/d", {"credential_values": {"api_key": "x"}})
        assert targets(api, "x") == [("openai/x", OPENAI, SECRET)]

    simple(scenario)


OWNERS: tuple[tuple[dict[str, Any], list[str]], ...] = (
    ({}, ["demo/*", "demo/*", "demo/can*", "fast", "fast"]),
    ({"models": ["fast"]}, ["fast", "fast"]),
    ({"models": ["demo/echo"]}, ["demo/*", "demo/*"]),
    ({"models": ["demo/*"]}, ["demo/*", "demo/*", "demo/can*"]),
    ({"models": ["no-default-models"]}, []),
    ({"team_id": "t"}, ["fast", "fast"]),
    ({"team_id": "t", "models": ["demo/*"]}, []),
)


async def owners_see_names(api: Api) -> None:
    await api.post("/team/new", team_id="t", models=["fast"])
    for terms, names in OWNERS:
        key = (await api.post("/key/generate", **terms))["key"]
        found = (await api.get("/model/info", key=key))["data"]
        assert sorted(model["model_name"] for model in found) == names, terms
        assert all(model.keys() == {"model_name", "model_info"} for model in found)
        assert all(model["model_info"].keys() <= {"id", "db_model"} for model in found)


def test_models_of_the_file_stay_and_are_joined(simple: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        for method, path, body in (
            ("POST", "/model/update", {"model_info": {"id": "of-the-file"}, "litellm_params": {"rpm": 1}}),
            ("POST", "/model/delete", {"id": "of-the-file"}),
        ):
            error = await api.refused(400, method, path, body)
            assert "configuration file" in error["message"]
        await api.post("/model/new", model_name="fast", litellm_params={"model": "demo/canned"}, model_info={"id": "second"})
        assert [name for name, *_ in targets(api, "fast")] == ["demo/echo", "demo/canned"]
        await api.post("/model/new", model_name="demo/can*", litellm_params={"model": "demo/can*"})
        await api.post("/model/new", model_name="demo/*", litellm_params={"model": "demo/*"})
        assert len(targets(api, "demo/canned")) == 1  # the longest pattern that fits
        assert len(targets(api, "demo/echo")) == 2
        assert targets(api, "quick") == targets(api, "fast")
        await owners_see_names(api)
        found = (await api.get("/model/info"))["data"]
        shown = [(model["model_name"], model["model_info"]["db_model"]) for model in found]
        assert shown[:2] == [("fast", False), ("demo/*", False)]
        assert sorted(shown[2:]) == [("demo/*", True), ("demo/can*", True), ("fast", True)]
        assert len((await api.get("/model/info", litellm_model_id="second"))["data"]) == 1
        await api.refused(404, "GET", "/model/info", litellm_model_id="third")
        await api.post("/model/delete", id="second")
        assert [name for name, *_ in targets(api, "fast")] == ["demo/echo"]

    simple(scenario)


def test_ids_are_given_once_and_a_change_of_something_stale_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        database = f"sqlite:///{tmp_path / 'gateway.db'}"
        async with opened(database, tmp_path) as api:
            body = {"model_name": "x", "litellm_params": GOOD, "model_info": {"id": "m"}}
            await api.post("/model/new", **body)
            error = await api.refused(409, "POST", "/model/new", body)
            assert "is there already" in error["message"]
            asked = [{"model_info": {"id": "m"}, "litellm_params": {"rpm": number}} for number in range(1, 9)]
            answers = await asyncio.gather(*(api.ask("POST", "/model/update", each) for each in asked))
            taken = [answer.json()["litellm_params"]["rpm"] for answer in answers if answer.status_code == 200]
            assert taken
            assert {answer.status_code for answer in answers} <= {200, 409}
            group = api.policy.find("x")
            assert group is not None
            assert group.nodes[0].terms.rpm in taken

    asyncio.run(scenario())


def test_a_call_under_way_ends_on_what_it_began_with(simple: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        await api.post("/model/new", model_name="x", litellm_params=GOOD, model_info={"id": "m"})
        begun = api.policy.alone("x")
        assert begun is not None
        await api.post("/model/update", model_info={"id": "m"}, litellm_params={"model": "openai/other"})
        assert begun[0].target.model == "gpt-x"
        after = api.policy.alone("x")
        assert after is not None
        assert after[0].target.model == "other"
        kept = api.policy.alone("fast")
        await api.post("/model/delete", id="m")
        assert api.policy.alone("fast") == kept  # who is not concerned keeps what is known of it

    simple(scenario)


def test_what_cannot_be_served_after_a_start_is_told_and_leaves_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        database = f"sqlite:///{tmp_path / 'gateway.db'}"
        async with opened(database, tmp_path, env={"OPENAI_API_KEY": "sk-of-the-environment"}) as api:
            await api.post("/model/new", model_name="x", litellm_params={"model": "openai/x"}, model_info={"id": "lost"})
            await api.post("/model/new", model_name="y", litellm_params=GOOD, model_info={"id": "kept"})
        async with opened(database, tmp_path) as api:
            with caplog.at_level(logging.ERROR, "dragoman.gateway"):
                await api.stored.start()
            assert (targets(api, "x"), len(targets(api, "y"))) == ([], 1)
            assert "lost" in caplog.text
            assert "OPENAI_API_KEY" in caplog.text
            found = {model["model_info"]["id"]: model for model in (await api.get("/model/info"))["data"][2:]}
            assert "OPENAI_API_KEY" in found["lost"]["error"]
            assert "error" not in found["kept"]
            await api.post("/model/update", model_info={"id": "lost"}, litellm_params={"api_key": SECRET})
            assert targets(api, "x") == [("openai/x", OPENAI, SECRET)]

    asyncio.run(scenario())


def test_what_another_worker_sealed_with_a_newer_key_changes_nothing_here(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        database = f"sqlite:///{tmp_path / 'gateway.db'}"
        newer = Sealing((OTHER_KEY, ENCRYPTION_KEY))
        async with opened(database, tmp_path / "a") as old, opened(database, tmp_path / "b", sealing=newer) as new:
            await old.post("/model/new", model_name="x", litellm_params=GOOD, model_info={"id": "m"})
            await new.shipping.turn()
            await new.post("/model/update", model_info={"id": "m"}, litellm_params={"model": "openai/newer"})
            with caplog.at_level(logging.ERROR, "dragoman.gateway"):
                await old.shipping.turn()
            assert targets(old, "x") == [("openai/gpt-x", OPENAI, SECRET)]
            assert "add the key that was used before" in caplog.text

    asyncio.run(scenario())


def test_the_marker_is_in_no_answer_and_in_no_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        answers = []
        async with opened(f"sqlite:///{tmp_path / 'gateway.db'}", tmp_path) as api:
            params = {
                **GOOD,
                "headers": {"x-secret": SECRET},
                "extra_body": {"token": [SECRET]},
                "temperature": 0.5,
                "metadata": SECRET,
            }
            values = {"api_key": SECRET, "extra_headers": {"authorization": SECRET}}
            asked: list[tuple[str, str, Any]] = [
                ("POST", "/model/new", {"model_name": "x", "litellm_params": params, "model_info": {"id": "m"}}),
                ("POST", "/credentials", {"credential_name": "c", "credential_values": values}),
                ("POST", "/model/new", {"model_name": "x", "litellm_params": {**params, "rpm": SECRET}}),
                ("POST", "/model/new", {"model_name": "x", "litellm_params": {**params, "api_base": f"https://a:{SECRET}@b/"}}),
                ("POST", "/model/new", {"model_name": "x", "litellm_params": {**params, "api_key": f"{SECRET}\n"}}),
                ("POST", "/model/update", {"model_info": {"id": "m"}, "litellm_params": {"api_key": SECRET + "2"}}),
                ("PATCH", "/credentials/c", {"credential_values": {"api_key": SECRET + "3"}}),
                ("GET", "/model/info", None),
                ("GET", "/credentials", None),
                ("GET", "/credentials/by_name/c", None),
                ("GET", "/audit", None),
            ]
            for method, path, body in asked:
                answers.append((await api.ask(method, path, body)).text)
            shown = (await api.get("/model/info"))["data"][2]["litellm_params"]
            assert shown["temperature"] == 0.5
            assert {shown[name] for name in ("headers", "extra_body", "metadata", "api_key")} == {MASK}
            changes = await api.get("/audit")
            assert changes["unbroken"]
            assert [(line["kind"], line["action"], line["id"]) for line in changes["changes"]][:2] == [
                ("model", "create", "m"),
                ("credential", "create", "c"),
            ]
        assert [text for text in answers if SECRET in text] == []
        assert SECRET not in caplog.text

    asyncio.run(scenario())
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"credential" in files  # it is the database
    assert SECRET.encode() not in files


def test_a_value_that_was_moved_to_another_row_does_not_open(tmp_path: Path) -> None:
    sealing = Sealing((ENCRYPTION_KEY,))

    async def scenario() -> None:
        async with opened("", tmp_path) as api:
            store = api.shipping.store
            await api.post("/credentials", credential_name="a", credential_values={"api_key": SECRET})
            await api.post("/credentials", credential_name="b", credential_values={"api_key": "sk-b"})
            a, b = await store.entries()
            with pytest.raises(ConfigurationError, match="'b' in the database"):
                sealing.open(b.reference, a.sealed)
            assert sealing.open(b.reference, b.sealed) == {"api_key": "sk-b"}

    asyncio.run(scenario())


def test_what_was_taken_is_told_with_its_secrets(tmp_path: Path) -> None:
    """So that prices are looked up anew, metrics know the names, and no log line shows a key."""
    told: list[list[str]] = []

    async def scenario() -> None:
        async with opened("", tmp_path) as api:
            stored = StoredModels(
                Policy(ModelList()),
                api.shipping.store,
                Sealing((ENCRYPTION_KEY,)),
                {},
                changed=lambda words: told.append([*words]),
            )
            await api.post(
                "/credentials", credential_name="c", credential_values={"api_key": SECRET, "api_base": "https://8.8.8.8"}
            )
            await stored.start()
            await stored.hear(await api.shipping.store.changes(0))

    asyncio.run(scenario())
    assert told == [[SECRET], [SECRET]]


def test_the_environment_is_no_part_of_a_stored_model(simple: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        for info in ({"input_cost_per_token": "os.environ/HOME"}, {"description": "os.environ/HOME"}):
            params = {"model": "openai/gpt-4o-mini"}
            error = await api.refused(
                400, "POST", "/model/new", {"model_name": "m", "litellm_params": params, "model_info": info}
            )
            assert "the gateway's environment is for the configuration file alone" in error["message"]

    simple(scenario)


def test_a_credential_takes_no_stored_key_to_its_own_address(simple: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        await api.post(
            "/model/new", model_name="v", litellm_params={"model": "openai/x", "api_key": SECRET}, model_info={"id": "v"}
        )
        await api.post("/credentials", credential_name="away", credential_values={"api_base": "https://8.8.8.8/v1"})
        changed = {"model_info": {"id": "v"}, "litellm_params": {"litellm_credential_name": "away"}}
        error = await api.refused(400, "POST", "/model/update", changed)
        assert "a stored secret goes only where it was given for" in error["message"]
        both = {"model": "azure/x", "api_base": "https://8.8.8.8/", "api_key": SECRET, "litellm_credential_name": "away"}
        await api.refused(400, "POST", "/model/new", {"model_name": "w", "litellm_params": both})
        assert targets(api, "v") == [("openai/x", OPENAI, SECRET)]

    simple(scenario)


def test_who_lives_on_this_machine_by_itself_is_refused(simple: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        error = await api.refused(400, "POST", "/model/new", {"model_name": "m", "litellm_params": {"model": "ollama/x"}})
        assert error["message"].startswith("litellm_params.model: localhost is an address of a private network")

    simple(scenario)


def test_a_stored_pattern_spoils_nobody_elses(simple: Callable[[Scenario], None]) -> None:
    async def scenario(api: Api) -> None:
        params = {"model": "azure/*"}  # whose address nobody knows
        await api.refused(400, "POST", "/model/new", {"model_name": "azure/*", "litellm_params": params})
        assert (await api.ask("POST", "/model/new", {"model_name": "*", "litellm_params": {"model": "*"}})).status_code == 200

    simple(scenario)
