"""The other routes of GPTRouter's API: lists, health, usage, prompts, login, embeddings, images, decisions."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dragoman.gateway.gptrouter.accounts import Account, hash_password
from dragoman.gateway.gptrouter.face import Settings
from dragoman.gateway.gptrouter.prompt_store import SqlitePrompts
from support.demo_server import RunningDemo, demo_server
from support.gptrouter import KEY, gptrouter_gateway, models_over

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
ACCOUNT = Account(id="u1", email="ann@example.com", password=hash_password("correct horse"), key=KEY)
ID = "11111111-1111-4111-8111-111111111111"


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningDemo]:
    with demo_server() as running:
        yield running


@pytest.fixture(scope="module", params=["memory", "sqlite"])
def url(demo: RunningDemo, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("prompts")
    store = SqlitePrompts(folder / "prompts.db") if request.param == "sqlite" else None
    settings = Settings(optimizer="gpt-4-0613")
    with gptrouter_gateway(models_over(demo.url), prompts_store=store, accounts=[ACCOUNT], settings=settings) as running:
        yield running
    if store is not None:
        store.close()


def call(url: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    shown = {"ws-secret": KEY} if headers is None else headers
    request = urllib.request.Request(f"{url}/api/v1{path}", data=data, headers=shown, method=method)
    try:
        with DIRECT.open(request, timeout=20) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


# --------------------------------------------------------------------------------------------------------------------- lists
def test_providers_and_models_are_listed_by_the_names_that_clients_use(url: str) -> None:
    _, providers = call(url, "GET", "/provider/all")
    assert {provider["name"] for provider in providers} >= {"chat_openai", "anthropic", "openai_embeddings"}
    _, models = call(url, "GET", "/model/all")
    named = {(model["providerName"], model["name"]) for model in models}
    assert {("chat_openai", "gpt-4o"), ("anthropic", "claude-2.1"), ("openai_embeddings", "text-embedding-3-small")} <= named
    assert [model["order"] for model in models] == list(range(1, len(models) + 1))
    assert all(model["createdAt"].endswith("Z") for model in models)
    assert len({model["id"] for model in models}) == len(models)
    assert {model["providerId"] for model in models} == {provider["id"] for provider in providers}


def test_one_model_by_its_id(url: str) -> None:
    _, models = call(url, "GET", "/model/all")
    assert call(url, "GET", f"/model/{models[0]['id']}") == (200, models[0])
    assert call(url, "GET", f"/model/{ID}") == (404, {"message": "Model not found"})


def test_what_is_nowhere_is_told_in_gptrouters_words(url: str) -> None:
    assert call(url, "GET", "/nowhere") == (
        404,
        {"message": "Route GET:/api/v1/nowhere not found", "error": "Not Found", "statusCode": 404},
    )


@pytest.mark.parametrize("path", ["/provider/all", "/model/all", "/prompt/all", "/healthcheck", "/model-usage/model"])
def test_pages_want_a_key(url: str, path: str) -> None:
    assert call(url, "GET", path, headers={})[0] == 401


# ----------------------------------------------------------------------------------------------------------- health and usage
def test_health_and_usage_come_from_real_traffic(url: str) -> None:
    data = [{"order": n, "modelName": name, "providerName": "chat_openai"} for n, name in enumerate(("fail-500", "gpt-4-0613"))]
    data[0]["promptParams"] = {"prompt": "two words"}
    _, answered = call(url, "POST", "/generate", {"data": data})
    good, bad = answered["modelId"], answered["meta"]["attempts"][0]["modelId"]
    _, history = call(url, "GET", "/healthcheck?startDate=2020-01-01&endDate=2100-01-01")
    health = {entry["modelId"]: entry["data"] for entry in history}
    assert health[good][-1]["isAvailable"] is True
    assert health[bad][-1]["isAvailable"] is False
    assert health[bad][-1]["latency"] is None
    _, used = call(url, "GET", "/model-usage/model")
    usage = {entry["modelId"]: entry["data"] for entry in used}[good][-1]
    assert usage["totalTokens"] == usage["promptTokens"] + usage["completionTokens"] > 0
    _, rows = call(url, "POST", "/healthcheck", {})
    assert {row["modelId"] for row in rows} >= {good, bad}
    _, early = call(url, "GET", "/healthcheck?endDate=2020-01-01")
    assert all(entry["data"] == [] for entry in early)


def test_a_date_that_is_none_is_a_400(url: str) -> None:
    status, body = call(url, "GET", "/healthcheck?startDate=yesterday")
    assert status == 400
    assert "startDate" in body["message"]


# ------------------------------------------------------------------------------------------------------------------- prompts
def prompt(**more: Any) -> dict[str, Any]:
    params = {"messages": [{"role": "user", "content": "Tell [topic] to {{who}}, see [1] and [a](b)"}]}
    return {"title": "t", "models": ["chat_openai/gpt-4-0613"], "promptParams": params, **more}


def run(url: str, prompt_id: str, given: dict[str, Any], **more: Any) -> tuple[int, Any]:
    return call(url, "POST", "/generate/prompt", {"data": {"promptId": prompt_id, "inputData": given, **more}})


def test_a_prompt_is_made_changed_labelled_run_and_deleted(url: str) -> None:
    _, made = call(url, "POST", "/prompt", prompt())
    group = made["id"]
    assert (made["parentPromptId"], made["versionNumber"], made["isDeleted"]) == (group, 1, False)
    status, answered = run(url, group, {"topic": "tea", "who": "Ann"})
    assert (status, answered["choices"][0]["text"]) == (200, "Tell tea to Ann, see [1] and [a](b)")

    call(url, "PUT", f"/prompt/{group}/label", {"label": "production"})
    _, changed = call(url, "PUT", f"/prompt/{group}", {"promptParams": {"prompt": "New [topic]"}, "updateMessage": "why"})
    assert (changed["id"], changed["versionNumber"], changed["labels"]) == (group, 2, [])
    assert run(url, group, {"topic": "tea"})[1]["choices"][0]["text"] == "New tea"
    old = run(url, group, {"topic": "tea", "who": "Ann"}, label="production")
    assert old[1]["choices"][0]["text"].startswith("Tell tea")

    _, versions = call(url, "GET", f"/prompt/{group}")
    assert [version["versionNumber"] for version in versions] == [1, 2]
    _, compared = call(url, "GET", f"/prompt/{versions[0]['id']}/diff/{group}")
    assert '+    "prompt": "New [topic]"' in compared["diff"]
    assert group in {listed["id"] for listed in call(url, "GET", "/prompt/all")[1]}

    for _ in range(2):
        assert call(url, "DELETE", f"/prompt/{group}") == (200, {"message": "Prompt deleted Successfully"})
    assert run(url, group, {"topic": "tea"})[0] == 400
    assert call(url, "DELETE", f"/prompt/{ID}") == (404, {"message": "Prompt not found"})


def test_a_missing_variable_is_a_400_that_names_it(url: str) -> None:
    _, made = call(url, "POST", "/prompt", prompt())
    status, body = run(url, made["id"], {"topic": "tea"})
    assert (status, "who" in body["message"], "topic" in body["message"]) == (400, True, False)


def test_a_language_is_asked_for_and_models_may_be_ids(url: str) -> None:
    _, models = call(url, "GET", "/model/all")
    by_id = next(model["id"] for model in models if model["name"] == "gpt-4-0613")
    _, made = call(url, "POST", "/prompt", prompt(models=[by_id], promptParams={"prompt": "x"}))
    answered = run(url, made["id"], {}, language="French", userId="u")[1]
    assert answered["choices"][0]["text"] == "x\nPlease generate in French language."


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"data": {"promptId": ID}}, "data.promptId"),
        ({"data": {}}, "data.promptId"),
        ({}, "data: expected an object"),
    ],
)
def test_a_prompt_that_is_not_there_is_a_400(url: str, body: Any, told: str) -> None:
    status, answered = call(url, "POST", "/generate/prompt", body)
    assert status == 400
    assert told in answered["message"]


def test_the_optimizer_rewrites_what_is_text(url: str) -> None:
    messages = [{"role": "user", "content": "do it"}, {"role": "assistant", "content": None}]
    status, found = call(url, "POST", "/prompt/optimize", {"messages": messages})
    assert (status, found) == (200, messages)  # the demo model echoes


# --------------------------------------------------------------------------------------------------------------------- login
def test_a_login_gives_a_token_and_no_secret(url: str) -> None:
    status, body = call(url, "POST", "/user/login", {"email": "Ann@example.com", "password": "correct horse"}, headers={})
    assert (status, set(body)) == (200, {"id", "email", "role", "token"})
    assert "horse" not in json.dumps(body)
    assert KEY not in json.dumps(body)
    assert call(url, "GET", "/provider/all", headers={"authorization": f"Bearer {body['token']}"})[0] == 200


@pytest.mark.parametrize(("email", "password"), [("ann@example.com", "wrong"), ("bob@example.com", "correct horse")])
def test_wrong_logins_are_alike(url: str, email: str, password: str) -> None:
    status, body = call(url, "POST", "/user/login", {"email": email, "password": password}, headers={})
    assert (status, body["message"]) == (401, "the e-mail or the password is wrong")


@pytest.mark.parametrize("token", ["gpr_", "gpr_x.y", "gpr_eyJ9.AAAA", "gpr_%%%.%%"])
def test_a_forged_token_is_refused(url: str, token: str) -> None:
    assert call(url, "GET", "/provider/all", headers={"authorization": f"Bearer {token}"})[0] == 401


# ----------------------------------------------------------------------------------------------------------- other operations
def test_embeddings_in_both_forms(url: str) -> None:
    candidate = {
        "order": 1,
        "modelName": "text-embedding-3-small",
        "providerName": "openai_embeddings",
        "promptParams": {"input": ["a", "b"]},
    }
    status, first = call(url, "POST", "/generate/embeddings", {"data": [candidate], "metadata": {}})
    assert (status, len(first["choices"])) == (200, 2)
    assert all(isinstance(number, float) for number in first["choices"][0]["embedding"])
    status, second = call(url, "POST", "/generate/embeddings-v2", {"input": ["a", "b"], "modelName": "text-embedding-3-small"})
    assert (status, second["choices"]) == (200, first["choices"])


def test_embeddings_of_different_inputs_are_no_fallback(url: str) -> None:
    data = [
        {"order": n, "modelName": "text-embedding-3-small", "promptParams": {"input": [text]}} for n, text in enumerate("ab")
    ]
    status, body = call(url, "POST", "/generate/embeddings", {"data": data})
    assert status == 400
    assert "data[1].promptParams.input" in body["message"]


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("generate-image", {"imageVendor": "dall-e", "prompt": "x"}, "numImages"),
        ("generate-image", {"imageVendor": "dall-e", "prompt": "x", "numImages": 99}, "numImages: expected 1 to 10"),
        ("generate-image", {"imageVendor": "acme", "prompt": "x", "numImages": 1}, "model: missing"),
        ("edit-image", {"model": "gpt-image-1", "prompt": "x"}, "image: expected"),
        ("system-one", {"data": [{"modelName": "gpt-4o", "promptParams": {}}]}, "questions"),
    ],
)
def test_other_operations_name_what_is_wrong(url: str, path: str, body: Any, told: str) -> None:
    status, answered = call(url, "POST", f"/generate/{path}", body)
    assert status == 400
    assert told in answered["message"]
