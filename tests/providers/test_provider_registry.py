"""From a model's name, a base URL and an environment to a target, or to an error that says what to do."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core.errors import AuthenticationError, BadRequestError, ConfigurationError
from dragoman.providers.base import Provider, Quirks, credential_headers
from dragoman.providers.registry import DEFAULT, Registry, resolve, split, validate_environment

KEYS = {"OPENAI_API_KEY": "sk-openai", "GROQ_API_KEY": "gsk-groq", "TOGETHER_API_KEY": "tgp-together"}


@pytest.mark.parametrize(
    "model, arguments, provider, name",
    [
        ("openai/gpt-4o", {}, "openai", "gpt-4o"),
        ("openrouter/openai/gpt-4o", {}, "openrouter", "openai/gpt-4o"),
        ("vllm/meta-llama/Llama-3", {}, "hosted_vllm", "meta-llama/Llama-3"),
        ("gpt-4o-mini", {}, "openai", "gpt-4o-mini"),
        ("o3", {}, "openai", "o3"),
        ("chatgpt-4o-latest", {}, "openai", "chatgpt-4o-latest"),
        ("text-embedding-3-small", {}, "openai", "text-embedding-3-small"),
        ("claude-sonnet-4-5", {}, "anthropic", "claude-sonnet-4-5"),
        ("deepseek-chat", {}, "deepseek", "deepseek-chat"),
        ("mistral-large-latest", {}, "mistral", "mistral-large-latest"),
        ("command-r-plus", {}, "cohere", "command-r-plus"),
        # an explicit provider wins, and takes its own prefix off
        ("gpt-4o", {"provider": "openrouter"}, "openrouter", "gpt-4o"),
        ("openai/gpt-4o", {"provider": "openrouter"}, "openrouter", "openai/gpt-4o"),
        ("openai/gpt-4o", {"provider": "openai"}, "openai", "gpt-4o"),
        ("ollama_chat/llama3", {"provider": "ollama"}, "ollama", "llama3"),
        # the host of a base URL, when nobody named a provider
        ("meta-llama/Llama-3", {"base_url": "https://api.together.xyz/v1"}, "together_ai", "meta-llama/Llama-3"),
        ("gpt-oss-20b", {"base_url": "https://API.groq.com/openai/v1/"}, "groq", "gpt-oss-20b"),
        ("llama3", {"base_url": "http://localhost:11434"}, "ollama", "llama3"),
        ("openai/x", {"base_url": "https://api.groq.com/openai/v1"}, "openai", "x"),
        ("gpt-4o", {"base_url": "https://api.groq.com.evil.example/v1"}, "openai", "gpt-4o"),
    ],
)
def test_who_serves_a_model(model: str, arguments: dict, provider: str, name: str):
    row, found = split(model, **arguments)
    assert (row.name, found) == (provider, name)


@pytest.mark.parametrize(
    "model, arguments, kind, parts",
    [
        ("opnai/gpt-4o", {}, ConfigurationError, ["'opnai'", "openai", "custom_openai"]),
        ("gpt-4o", {"provider": "grok_"}, ConfigurationError, ["'grok_'", "groq"]),
        ("my-model", {}, BadRequestError, ["'my-model'", "provider/model"]),
        ("clade-sonnet", {}, BadRequestError, ["provider/model"]),
        ("meta-llama/x", {"base_url": "http://127.0.0.1:9/v1"}, ConfigurationError, ["'meta-llama'", "custom_openai"]),
        ("openai/", {}, BadRequestError, ["openai/MODEL"]),
        ("", {}, BadRequestError, ["provider/model"]),
        ("/gpt-4o", {}, ConfigurationError, ["''"]),
    ],
)
def test_an_unknown_one_gets_the_nearest_names_and_a_remedy(model: str, arguments: dict, kind: type, parts: list[str]):
    with pytest.raises(kind) as caught:
        split(model, **arguments)
    assert all(part in caught.value.message for part in parts)


@pytest.mark.parametrize(
    "url, becomes",
    [
        ("https://h.example/v1/", "https://h.example/v1"),
        ("  http://h.example:8000// ", "http://h.example:8000"),
        ("HTTPS://H.Example/V1", "https://h.example/V1"),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1"),
    ],
)
def test_a_base_url_is_written_one_way(url: str, becomes: str):
    assert resolve("custom_openai/m", env={}, base_url=url).base_url == becomes


BAD_URLS = [
    "localhost:8000/v1",
    "h.example",
    "ftp://h.example",
    "file:///etc/passwd",
    "local://runtime/v1",
    "https://",
    "https:///v1",
    "https://user:hunter2@h.example/v1",
    "https://hunter2@h.example/v1",
    "user:hunter2@h.example/v1",
    "https://h.example/v1?key=hunter2",
    "https://h.example/v1#hunter2",
    "https://h.example/v1?",
    "https://h.example:port/v1",
    "https://h.example:99999/v1",
    "https://h.exa mple/v1",
    "https://h.example/v1\r\nx: y",
    "https://api.openai.com\\@h.example/v1",
    "https://[::1/v1",
    "https://hé.example/v1",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_a_bad_base_url_is_refused_by_name_and_without_its_secrets(url: str):
    for arguments in ({"base_url": url, "env": {}}, {"env": {"CUSTOM_OPENAI_API_BASE": url}}):
        with pytest.raises(ConfigurationError) as caught:
            resolve("custom_openai/m", api_key="k", **arguments)
        assert caught.value.message.startswith(("base_url:", "CUSTOM_OPENAI_API_BASE:"))
        assert "hunter2" not in caught.value.message


def test_a_row_with_a_scheme_of_its_own_may_be_told_another_address():
    assert resolve("demo/echo", env={}).base_url == "demo://in-process/v1"
    assert resolve("demo/echo", env={}, base_url="http://127.0.0.1:8099/v1").base_url == "http://127.0.0.1:8099/v1"


@pytest.mark.parametrize("url", ["http://gpu:11434", "http://gpu:11434/", "http://gpu:11434/v1"])
def test_ollama_is_found_with_and_without_the_path(url: str):
    assert resolve("ollama_openai/llama3", env={"OLLAMA_OPENAI_API_BASE": url}).base_url == "http://gpu:11434/v1"


@pytest.mark.parametrize(
    "base_url, carries",
    [
        (None, True),
        ("https://api.groq.com/other/path", True),
        ("https://api.groq.com:443/openai/v1", True),
        ("https://api.groq.com:8443/openai/v1", False),
        ("https://api.groq.com:0/openai/v1", False),
        ("http://api.groq.com/openai/v1", False),
        ("https://api.groq.com./openai/v1", False),
        ("https://eu.api.groq.com/openai/v1", False),
        ("https://groq.com/openai/v1", False),
        ("https://api.openai.com/v1", False),
    ],
)
def test_a_key_belongs_to_a_host(base_url: str | None, carries: bool):
    if carries:
        assert resolve("groq/m", env=KEYS, base_url=base_url).api_key == "gsk-groq"
        return
    with pytest.raises(AuthenticationError) as caught:
        resolve("groq/m", env=KEYS, base_url=base_url)
    assert "https://api.groq.com" in caught.value.message
    assert not any(key in caught.value.message for key in KEYS.values())


def test_a_key_that_the_caller_gives_outranks_the_environment():
    assert resolve("groq/m", env=KEYS, api_key=" mine\n").api_key == "mine"
    assert resolve("groq/m", env=KEYS, api_key="").api_key == "gsk-groq"


@pytest.mark.parametrize("value", ["sk-a\nx-admin: 1", "sk-é", "sk-\x00"])
def test_a_key_that_no_header_can_carry_is_refused_without_showing_it(value: str):
    for arguments in ({"api_key": value, "env": {}}, {"env": {"GROQ_API_KEY": value}}):
        with pytest.raises(ConfigurationError) as caught:
            resolve("groq/m", **arguments)
        assert "sk-" not in caught.value.message


def test_a_key_travels_the_way_of_the_row():
    assert credential_headers(resolve("groq/m", env=KEYS)) == (("authorization", "Bearer gsk-groq"),)
    assert credential_headers(resolve("anthropic/m", env={"ANTHROPIC_API_KEY": "k"})) == (("x-api-key", "k"),)
    token = resolve("anthropic/m", env={"ANTHROPIC_AUTH_TOKEN": "t"})
    assert credential_headers(token) == (("authorization", "Bearer t"),)
    assert credential_headers(resolve("demo/echo", env=KEYS, api_key="k")) == ()
    assert credential_headers(resolve("ollama/m", env=KEYS)) == ()


def test_headers_from_the_environment_go_to_the_vendor_only():
    env = KEYS | {"OPENAI_ORGANIZATION": "org-1"}
    mine = (("x-mine", "1"),)
    assert resolve("openai/m", env=env, headers=mine).headers == (("openai-organization", "org-1"), *mine)
    assert resolve("openai/m", env=env, base_url="http://h.example/v1", api_key="k", headers=mine).headers == mine


def test_a_bare_model_name_gets_the_path_of_its_vendor():
    key = {"FIREWORKS_API_KEY": "k"}
    assert resolve("fireworks_ai/llama", env=key).model == "accounts/fireworks/models/llama"
    assert resolve("fireworks_ai/accounts/me/models/x", env=key).model == "accounts/me/models/x"


@pytest.mark.parametrize(
    "model, env, missing",
    [
        ("gpt-4o", {}, ["OPENAI_API_KEY"]),
        ("gpt-4o", KEYS, []),
        ("together_ai/x", {}, ["TOGETHER_API_KEY"]),
        ("together_ai/x", {"TOGETHER_AI_TOKEN": "k"}, []),
        ("claude-x", {"ANTHROPIC_AUTH_TOKEN": "t"}, []),
        ("vllm/x", {}, ["HOSTED_VLLM_API_BASE"]),
        ("databricks/x", {}, ["DATABRICKS_API_KEY", "DATABRICKS_API_BASE"]),
        ("demo/echo", {}, []),
    ],
)
def test_what_is_missing_in_an_environment(model: str, env: dict, missing: list[str]):
    assert validate_environment(model, env) == {"keys_in_environment": not missing, "missing_keys": missing}


@given(model=st.text(), provider=st.none() | st.text(), base_url=st.none() | st.text() | st.sampled_from(BAD_URLS))
def test_no_input_brings_anything_but_a_target_or_an_error_of_ours(model: str, provider: str | None, base_url: str | None):
    with contextlib.suppress(ConfigurationError, BadRequestError, AuthenticationError):
        assert resolve(model, provider=provider, base_url=base_url, env=KEYS).model


# ------------------------------------------------------------------------------------------------------ rows of others
MINE = Provider(name="mine", base_url="https://llm.mine.example/v1/", key_variables=("MINE_KEY",), aliases=("m",))


def test_a_row_in_code():
    registry = DEFAULT.with_provider(MINE)
    target = registry.resolve("m/x", env={"MINE_KEY": "k"})
    assert (target.provider.name, target.base_url, target.api_key) == ("mine", "https://llm.mine.example/v1", "k")
    assert registry.split("x", base_url="https://llm.mine.example/v1")[0].name == "mine"
    assert resolve("mine/x", env={"MINE_KEY": "k"}, extra_providers=[MINE]) == target
    assert DEFAULT.find("mine") is None


def test_a_row_in_code_may_replace_one_or_take_an_alias():
    other = Provider(name="vllm", base_url="https://v.example")
    registry = DEFAULT.with_provider(other, Provider(name="groq", base_url="https://g.example", key_optional=True))
    assert registry.get("vllm") is not DEFAULT.get("vllm")
    assert registry.get("hosted_vllm") is DEFAULT.get("hosted_vllm")
    assert registry.resolve("groq/x", env=KEYS).api_key is None
    assert len(registry.rows) == len(DEFAULT.rows) + 1


@pytest.mark.parametrize(
    "row", [Provider(name="a/b", base_url=None), Provider(name="", base_url=None), Provider(name="a", base_url="a.example")]
)
def test_a_bad_row_in_code_is_refused(row: Provider):
    with pytest.raises(ConfigurationError):
        Registry(()).with_provider(row)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs a package of one module with the entry points `lines`: what a wheel would put on the path."""

    def install(package: str, source: str, *lines: str) -> None:
        (tmp_path / f"{package}.py").write_text(source)
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[dragoman.providers]\n" + "\n".join(lines) + "\n")

    monkeypatch.syspath_prepend(str(tmp_path))
    yield install
    for name in [name for name in sys.modules if name.startswith("plug_")]:
        del sys.modules[name]


ROW = "from dragoman.providers.base import Provider\n"


def test_a_row_of_an_installed_package(install):
    source = ROW + 'ROW = Provider(name="plugged", base_url="https://p.example/v1/", key_variables=("PLUGGED_KEY",))\n'
    install("plug_row", source + "def make(): return ROW\n", "plugged = plug_row:ROW", "plugged-too = plug_row:make")
    target = resolve("plugged/a/b", env={"PLUGGED_KEY": "k"})
    assert (target.model, target.base_url, target.api_key) == ("a/b", "https://p.example/v1", "k")
    assert resolve("x", provider="plugged-too", env={"PLUGGED_KEY": "k"}).provider.name == "plugged"
    assert resolve("plugged-too/x", env={"PLUGGED_KEY": "k"}).model == "x"
    with pytest.raises(ConfigurationError, match="near to it: plugged"):
        split("pluged/x")


def test_a_package_cannot_take_the_name_of_a_built_in_row(install):
    install("plug_groq", ROW + 'ROW = Provider(name="groq", base_url="https://evil.example")\n', "groq = plug_groq:ROW")
    assert resolve("groq/x", env=KEYS).base_url == "https://api.groq.com/openai/v1"


@pytest.mark.parametrize(
    "name, source, says",
    [
        ("plug-none", "ROW = 3\n", "expected a dragoman Provider, found int"),
        ("plug-broken", "raise RuntimeError('not today')\n", "RuntimeError: not today"),
        ("plug-lacks", "", "AttributeError"),
        ("plug-url", ROW + 'ROW = Provider(name="x", base_url="x.example")\n', "base_url"),
    ],
)
def test_a_package_that_does_not_bring_a_row_is_named(install, name: str, source: str, says: str):
    module = name.replace("-", "_")
    install(module, source, f"{name} = {module}:ROW")
    with pytest.raises(ConfigurationError, match=says) as caught:
        split(f"{name}/x")
    assert f"{module}:ROW" in caught.value.message


def test_two_packages_with_one_provider_are_both_named(install):
    install("plug_one", ROW, "plug-twice = plug_one:ROW")
    install("plug_two", ROW, "plug-twice = plug_two:ROW")
    with pytest.raises(ConfigurationError, match="plug_one:ROW, plug_two:ROW"):
        split("plug-twice/x")


def test_quirks_of_a_model_replace_those_of_the_row():
    row = Provider(
        name="mine",
        base_url="https://m.example",
        key_optional=True,
        quirks=Quirks(rename={"a": "b"}),
        model_quirks={"think-*": Quirks(relay=False)},
    )
    registry = Registry([row])
    assert registry.resolve("mine/think-1", env={}).provider.quirks == Quirks(relay=False)
    assert registry.resolve("mine/talk-1", env={}).provider is row
