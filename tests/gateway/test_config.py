"""A configuration -> public names and who serves them: all of it checked at the start, and what a client may still choose."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman.core.errors import AuthenticationError, ConfigurationError, NotFoundError
from dragoman.core.http import Timeouts
from dragoman.engine.call import Call
from dragoman.engine.prepare import prepare
from dragoman.gateway.config import Config, load, read, timeouts
from dragoman.router import policy as policy_module
from dragoman.router.deployment import Deployment
from dragoman.router.policy import MAX_NAME, Policy

KEYS = {"OPENAI_API_KEY": "sk-openai-1234", "ANTHROPIC_API_KEY": "sk-ant-1234"}
EVERYBODY = 'models: [{name: "*", model: "*"}]'
ONE = "models: [{name: a, model: openai/gpt-4o}]\n"


def served(text: str, env: dict[str, str] = KEYS) -> Policy:
    return read(text, file="dragoman.yaml", env=env)[1]


def served_by(models: Policy, name: str) -> tuple[Deployment, ...]:
    return tuple(node.deployment for node in models.group(name).nodes)


def refusal(text: str, env: dict[str, str] = KEYS) -> str:
    with pytest.raises(ConfigurationError) as failure:
        served(text, env)
    assert "\n" not in failure.value.message
    return failure.value.message


def places(models: Policy, name: str) -> list[tuple[str, str, str, str | None]]:
    targets = [deployment.target for deployment in served_by(models, name)]
    return [(target.provider.name, target.model, target.base_url, target.api_key) for target in targets]


# ------------------------------------------------------------------------------------------------------- the file as a whole
def test_without_a_file_the_local_models_and_every_provider_with_a_key_are_served() -> None:
    config, models = load(None, env=KEYS)
    assert config == Config()
    assert models.names == ("local/smollm2-135m", "local/use-multilingual-v3")
    assert places(models, "openai/gpt-4o") == [("openai", "gpt-4o", "https://api.openai.com/v1", "sk-openai-1234")]


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "dragoman.yaml"
    path.write_text(ONE + "timeouts: {first_token: 5, idle: null}\nretries: 0\nserver: {port: 0}\n")
    config, models = load(str(path), env=KEYS)
    assert (config.retries, config.server.port, models.names) == (0, 0, ("a",))
    assert timeouts(config.timeouts) == Timeouts(connect=10.0, first_token=5.0, idle=None, total=None)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read: No such file or directory"), (b"a: 1\nb: \xff\n", "not YAML: this is not UTF-8")],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "dragoman.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as failure:
        load(str(path), env={})
    place = f"{path}:2" if content else f"{path}"
    assert failure.value.message == f"{place}: {message}"


def test_a_directory_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load(str(tmp_path), env={})


@pytest.mark.parametrize("text", ["", "retries: 1", "models: []", "server: {host: 0.0.0.0}"])
def test_a_file_serves_what_it_names_and_nothing_else(text: str) -> None:
    assert refusal(text).startswith("dragoman.yaml:1: models: there is none; ")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("retries: -1", "retries"),
        ("retries: 1.5", "retries"),
        ("strict: on", "strict"),
        ("timeouts: {connect: 0}", "timeouts.connect"),
        ("timeouts: {idle: -1}", "timeouts.idle"),
        ("timeouts: {idle: .nan}", "timeouts.idle"),
        ("timeouts: {total: .inf}", "timeouts.total"),
        ("timeouts: {first_tokens: 1}", "timeouts.first_tokens"),
        ("server: {port: 65536}", "server.port"),
        ("server: {port: 40_00}", "server.port"),
        ("server: {host: ''}", "server.host"),
        ("server: {max_body_mb: 0}", "server.max_body_mb"),
        ("server: {drain_seconds: -1}", "server.drain_seconds"),
        ("server: {api_key: ''}", "server.api_key"),
        ("server: {api_key: ' sk-x'}", "server.api_key"),
        ('server: {api_key: "sk-x\\n"}', "server.api_key"),
        ("server: {api_key: schlüssel}", "server.api_key"),
        ("server: {ssl_keyfile: key.pem}", "server.ssl_keyfile"),
    ],
)
def test_settings_out_of_range_are_told(text: str, place: str) -> None:
    assert refusal(ONE + text).startswith(f"dragoman.yaml:2: {place}: ")


def test_an_empty_variable_does_not_open_the_gateway() -> None:
    text = ONE + "server: {api_key: os.environ/DRAGOMAN_API_KEY}"
    message = refusal(text, {**KEYS, "DRAGOMAN_API_KEY": ""})
    assert message == "dragoman.yaml:2: server.api_key: the environment variable DRAGOMAN_API_KEY is empty"


# ------------------------------------------------------------------------------------------------------------------ models
def test_two_deployments_of_one_name_keep_their_order() -> None:
    models = served("""
models:
  - {name: fast, model: openai/gpt-4o-mini}
  - {name: other, model: anthropic/claude-x}
  - {name: fast, model: anthropic/claude-y}
""")
    assert models.names == ("fast", "other")
    assert [place[:2] for place in places(models, "fast")] == [("openai", "gpt-4o-mini"), ("anthropic", "claude-y")]
    assert [deployment.id for deployment in served_by(models, "fast")] == ["fast#0", "fast#2"]


def test_a_key_and_a_base_of_its_own() -> None:
    models = served("models: [{name: a, model: openai/x, api_base: 'http://10.0.0.5:8000/v1', api_key: sk-own-1234}]", {})
    assert places(models, "a") == [("openai", "x", "http://10.0.0.5:8000/v1", "sk-own-1234")]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("model: openai/gpt-4o", "OPENAI_API_KEY"),
        ("model: opnai/gpt-4o", "no provider is called 'opnai' (near to it: openai"),
        ("model: gibberish", "does not tell who serves it"),
        ("model: openai/", "names no model"),
        ("model: hosted_vllm/qwen3", "base_url"),
        ("model: hosted_vllm/qwen3, api_base: 10.0.0.5", "http://"),
        ("model: openai/x, api_base: 'http://u:p@h/v1', api_key: sk-own-1234", "a name and password"),
        ("model: openai/x, api_base: 'http://elsewhere/v1'", "no key for http://elsewhere/v1"),
        ('model: openai/x, api_key: "sk-own-1234 \\n x"', "api_key"),
        ("model: ollama/x, headers: {'x y': z}", "headers: header name 'x y'"),
        ('model: ollama/x, headers: {x-a: "b\\r\\nx-c: d"}', "headers: header 'x-a': its value holds a control character"),
        ("model: ollama/x, headers: {Content-Length: '3'}", "headers: header 'Content-Length': the transport sets it itself"),
    ],
)
def test_a_model_that_cannot_be_asked_is_told_at_the_start(entry: str, words: str) -> None:
    message = refusal(f"# a comment\nmodels:\n- {{name: good, model: ollama/x}}\n- {{name: bad, {entry}}}\n", {})
    assert message.startswith("dragoman.yaml:4: models[1]: ")
    assert words in message
    assert "sk-own" not in message


@pytest.mark.parametrize(("entry", "path"), [("name: '', model: ollama/x", "name"), ("name: a, model: ''", "model")])
def test_empty_names_are_told(entry: str, path: str) -> None:
    assert refusal(f"models:\n- {{{entry}}}").startswith(f"dragoman.yaml:2: models[0].{path}: expected `str` of length >= 1")


# ---------------------------------------------------------------------------------------------------------------- patterns
def test_a_whole_provider_under_a_name_of_ours() -> None:
    models = served('models: [{name: "ours/*", model: "openai/*"}]')
    assert models.names == ()
    assert places(models, "ours/gpt-4o") == [("openai", "gpt-4o", "https://api.openai.com/v1", "sk-openai-1234")]


def test_names_go_before_patterns_and_long_patterns_before_short_ones() -> None:
    models = served("""
models:
  - {name: "*", model: "*"}
  - {name: "openai/*", model: "anthropic/*"}
  - {name: openai/mine, model: openai/gpt-4o}
""")
    assert places(models, "openai/mine")[0][:2] == ("openai", "gpt-4o")
    assert places(models, "openai/other")[0][:2] == ("anthropic", "other")
    assert places(models, "anthropic/x")[0][:2] == ("anthropic", "x")


def test_two_deployments_of_one_pattern() -> None:
    models = served("""
models:
  - {name: "a/*", model: "openai/*"}
  - {name: "a/*", model: "anthropic/*"}
""")
    assert [place[:2] for place in places(models, "a/x")] == [("openai", "x"), ("anthropic", "x")]
    assert [deployment.id for deployment in served_by(models, "a/x")] == ["a/x#0", "a/x#1"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('name: "a*b", model: "openai/*"', "a pattern has one * at its end"),
        ('name: "a/*", model: openai/gpt-4o', "a pattern has one * at its end"),
        ('name: a, model: "openai/*"', "a pattern has one * at its end"),
        ('name: "**", model: "openai/*"', "a pattern has one * at its end"),
        ('name: "a/*", model: "opnai/*"', "no provider is called 'opnai'"),
        ('name: "a/*", model: "openai/*"', "OPENAI_API_KEY"),
        ('name: "a/*", model: "hosted_vllm/*"', "base_url"),
        ('name: "*", model: "*", api_key: sk-own-1234', "to whichever a client names"),
        ('name: "*", model: "o*", api_key: sk-own-1234', "to whichever a client names"),
        ('name: "*", model: "*", headers: {authorization: Bearer sk-own-1234}', "to whichever a client names"),
    ],
)
def test_a_pattern_is_checked_at_the_start(entry: str, words: str) -> None:
    message = refusal(f"models:\n- {{{entry}}}\n", {})
    assert message.startswith("dragoman.yaml:2: models[0]: ")
    assert words in message
    assert "sk-own" not in message


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("gibberish/x", NotFoundError, "no provider is called 'gibberish'"),
        ("who-am-i", NotFoundError, "does not tell who serves it"),
        ("openai/", NotFoundError, "names no model"),
        ("hosted_vllm/x", NotFoundError, "base_url"),
        ("groq/x", AuthenticationError, "the gateway has no key for 'groq/x'"),
        ("local//etc/passwd.gguf", NotFoundError, "a model file is served only under a name of its own"),
        ("local/../x.GGUF", NotFoundError, "a model file is served only under a name of its own"),
        ("", NotFoundError, "no model is called ''"),
        ("x" * (MAX_NAME + 1), NotFoundError, f"it has {MAX_NAME + 1} characters"),
        ("openai/" + "x" * 10_000, NotFoundError, "it has 10007 characters"),
    ],
)
def test_a_name_that_leads_nowhere_is_the_clients_error(name: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as failure:
        served(EVERYBODY).group(name)
    assert words in failure.value.message
    assert len(failure.value.message) < 2 * MAX_NAME
    assert "sk-" not in failure.value.message


def test_an_unknown_name_comes_with_the_nearest_ones() -> None:
    models = served('models: [{name: fast, model: ollama/x}, {name: slow, model: ollama/y}, {name: "o/*", model: "ollama/*"}]')
    with pytest.raises(NotFoundError, match=r"no model is called 'fats': did you mean fast\?"):
        models.group("fats")
    with pytest.raises(NotFoundError, match=r"no model is called 'zzz': there are: fast, slow, o/\*"):
        models.group("zzz")
    assert "zzz" not in models.names


ODD_NAMES = [
    "x\r\nx-evil: 1",
    "x\0",
    "../../v1/files",
    "x?fail=500",
    "x#y",
    "@evil.test/",
    "http://evil.test/v1",
    "☃",
    "x y",
    "%0d%0a",
]


@pytest.mark.parametrize("odd", ODD_NAMES)
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_name_chooses_a_model_and_no_host_no_header_and_no_path(provider: str, odd: str) -> None:
    check_request(served(EVERYBODY), provider, odd)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=40))
def test_whatever_a_client_calls_a_model_it_stays_in_the_body(name: str) -> None:
    check_request(served(EVERYBODY), "openai", name)


def check_request(models: Policy, provider: str, name: str) -> None:
    plain, odd = (served_by(models, f"{provider}/{text}")[0] for text in ("plain", name))
    body = b'{"model":"?","max_tokens":1,"messages":[]}'
    dialect = odd.target.provider.dialects["chat"]
    asked = [
        prepare(Call(operation="chat", dialect=dialect, model="?", body=body, deployments=(one,)), one).request
        for one in (plain, odd)
    ]
    assert asked[0].url == asked[1].url
    assert asked[0].headers == asked[1].headers
    assert odd.label.isascii()
    assert not set(odd.label) & {*range(33), 127}


def test_names_that_clients_invent_are_kept_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy_module, "MAX_RESOLVED", 3)
    models = served(EVERYBODY)
    first = served_by(models, "openai/0")[0]
    assert served_by(models, "openai/0")[0] is first
    for number in range(1, 10):
        served_by(models, f"openai/{number}")
    assert served_by(models, "openai/9")[0] is served_by(models, "openai/9")[0]
    assert served_by(models, "openai/0")[0] is not first, "the oldest has gone"
    assert places(models, "openai/0")[0][1] == "0"
