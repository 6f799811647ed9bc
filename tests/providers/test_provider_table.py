"""Every row of the table is tested the moment it exists: names, address, key, where the key goes, quirks."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

import pytest

from dragoman.core.errors import AuthenticationError, ConfigurationError
from dragoman.dialects import registry as dialects
from dragoman.providers import quirks
from dragoman.providers.base import AUTH_HEADERS, Provider, Quirks, credential_headers
from dragoman.providers.credentials import checked, filled, origin
from dragoman.providers.registry import Registry, missing_keys, resolve, split
from dragoman.providers.table import ROWS

BY_NAME = {row.name: row for row in ROWS}
ELSEWHERE = "https://elsewhere.example/v1"

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
self_hosted = pytest.mark.parametrize("row", [row for row in ROWS if row.base_url is None], ids=lambda row: row.name)
keyed = pytest.mark.parametrize("row", [row for row in ROWS if row.key_variables], ids=lambda row: row.name)
must_have_key = pytest.mark.parametrize(
    "row",
    [row for row in ROWS if row.auth != "none" and not row.key_optional and not row.authorizer],
    ids=lambda row: row.name,
)


def env_of(row: Provider, **values: str) -> dict[str, str]:
    """An environment in which `row` has all it needs."""
    place = {} if row.base_url or not row.base_url_variables else {row.base_url_variables[0]: "https://mine.example/v1"}
    parts = {names[0]: "mine" for part, names in row.url_variables.items() if part not in row.url_defaults}
    return {**place, **parts, **dict.fromkeys(row.key_variables[:1], "secret"), **values}


def address_of(row: Provider) -> str:
    """Its base URL in that environment, "" without one of its own."""
    return filled(row, env_of(row))


def needs_no_key(row: Provider) -> bool:
    """Beside optional keys: what signs or fetches tokens by itself does so when the request is sent."""
    return row.key_optional or bool(row.authorizer)


def sent(row: Provider, env: dict[str, str], **arguments: str) -> str:
    """Everything of a target that reaches the wire."""
    target = resolve(f"{row.name}/m", env=env, **arguments)
    return repr((target.base_url, target.headers, credential_headers(target), target.model))


def test_names_and_aliases_are_unique():
    names = Counter(name for row in ROWS for name in (row.name, *row.aliases))
    assert [name for name, count in names.items() if count > 1] == []
    assert len(ROWS) > 80


def test_no_model_prefix_begins_another_rows_prefix():
    prefixes = [(prefix, row.name) for row in ROWS for prefix in row.model_prefixes]
    clashes = [(a, b) for a in prefixes for b in prefixes if a[1] != b[1] and b[0].startswith(a[0])]
    assert clashes == []


def test_a_key_variable_belongs_to_one_vendor():
    """Rows of one vendor, which its variables for the address or its domain tell, may share one."""
    vendors = {
        (name, tuple(row.url_variables.items()) or domain(row))
        for row in ROWS
        for name in row.key_variables + row.bearer_variables
    }
    owners = Counter(name for name, _ in vendors)
    assert [name for name, count in owners.items() if count > 1] == []


def domain(row: Provider) -> str:
    host = urlsplit(row.base_url or "").hostname or row.name
    return ".".join(host.split(".")[-2:])


@every_row
def test_names_are_lower_case_words_without_a_slash(row: Provider):
    for name in (row.name, *row.aliases):
        assert name == name.lower().strip()
        assert "/" not in name


@every_row
def test_the_address_is_https_or_this_machine_or_a_scheme_of_ours(row: Provider):
    if row.base_url is None:
        assert row.base_url_variables
        return
    url = address_of(row)
    assert checked(url, row, "base_url") == url, "written as it is sent: no slash at the end"
    scheme, host, _ = origin(url)
    assert scheme in {"https", "local", "demo"} or host in {"localhost", "127.0.0.1"}


@every_row
def test_its_dialects_and_auth_exist(row: Provider):
    assert row.dialects
    offered = [*row.dialects.items(), *(entry for some in row.model_dialects.values() for entry in some.items())]
    for operation, name in offered:
        assert dialects.get(name).name == name, operation
    assert row.auth in AUTH_HEADERS
    assert set(row.paths) <= {operation for operation, _ in offered}
    assert (row.auth == "none") == (not row.key_variables)
    assert not row.docs or row.docs.startswith("https://")


@every_row
def test_every_name_leads_to_it_and_only_the_first_slash_splits(row: Provider):
    for name in (row.name, *row.aliases):
        assert split(f"{name}/org/model:tag") == (row, "org/model:tag")
        assert split("org/model", provider=name) == (row, "org/model")


@every_row
def test_with_what_it_needs_it_resolves(row: Provider):
    env = env_of(row)
    assert missing_keys(row, env) == ()
    target = resolve(f"{row.name}/org/m", env=env)
    assert target.model == "org/m"
    assert target.base_url == (address_of(row) or "https://mine.example/v1")
    assert "{" not in target.base_url + "".join(target.provider.paths.values())
    assert target.api_key == (None if row.auth == "none" else "secret")
    assert "secret" not in repr(target)


@keyed
def test_each_of_its_variables_serves_and_the_earlier_one_wins(row: Provider):
    variables = row.key_variables + row.bearer_variables
    for position, name in enumerate(variables):
        env = env_of(row) | {row.key_variables[0]: " "} | {later: f"key-{later}" for later in variables[position:]}
        assert resolve(f"{row.name}/m", env=env).api_key == f"key-{name}"


@every_row
def test_its_key_from_the_environment_goes_to_no_other_host(row: Provider):
    env = env_of(row, **dict.fromkeys((*row.key_variables, *row.bearer_variables, *row.header_variables), "secret"))
    if row.key_optional:
        assert "secret" not in sent(row, env, base_url=ELSEWHERE)
        return
    with pytest.raises(AuthenticationError, match="pass api_key together with base_url") as caught:
        sent(row, env, base_url=ELSEWHERE)
    assert "secret" not in caught.value.message


@keyed
def test_its_key_does_not_go_out_in_the_clear(row: Provider):
    if not (row.base_url or "").startswith("https:") or row.key_optional:
        return
    with pytest.raises(AuthenticationError):
        sent(row, env_of(row), base_url=address_of(row).replace("https:", "http:"))


@keyed
def test_its_key_goes_to_its_own_hosts_and_to_the_address_its_variable_names(row: Provider):
    env = env_of(row)
    own = [f"https://{host.replace('*', 'any-1')}/any/path" for host in row.hosts]
    own += [f"{address_of(row)}/deeper/"] if row.base_url else []
    assert all(resolve(f"{row.name}/m", env=env, base_url=url).api_key == "secret" for url in own)
    for variable in row.base_url_variables:
        moved = env | dict.fromkeys(row.base_url_variables, "") | {variable: ELSEWHERE}
        assert resolve(f"{row.name}/m", env=moved).base_url == ELSEWHERE
        assert resolve(f"{row.name}/m", env=moved).api_key == "secret"
        assert resolve(f"{row.name}/m", env=moved, base_url=ELSEWHERE + "/other").api_key == "secret"


@keyed
def test_a_key_given_with_a_base_url_goes_along(row: Provider):
    target = resolve(f"{row.name}/m", env={}, base_url=ELSEWHERE, api_key="given")
    assert (target.base_url, target.api_key) == (ELSEWHERE, "given")


@must_have_key
def test_without_a_key_the_error_names_the_variables_and_comes_before_any_request(row: Provider):
    env = {name: value for name, value in env_of(row).items() if value != "secret"}
    with pytest.raises(AuthenticationError) as caught:
        resolve(f"{row.name}/m", env=env)
    error = caught.value
    assert (error.status_code, error.llm_provider, error.attempts) == (401, row.name, 0)
    assert all(name in error.message for name in (*row.key_variables, *row.bearer_variables))
    assert missing_keys(row, env) == row.key_variables[:1]


@pytest.mark.parametrize("row", [row for row in ROWS if row.authorizer], ids=lambda row: row.name)
def test_with_an_authorizer_no_key_is_needed_at_its_own_hosts(row: Provider):
    env = {name: value for name, value in env_of(row).items() if value != "secret"}
    assert missing_keys(row, env) == ()
    assert resolve(f"{row.name}/m", env=env).api_key is None
    with pytest.raises(AuthenticationError, match="pass api_key together with base_url"):
        resolve(f"{row.name}/m", env=env, base_url=ELSEWHERE)


@pytest.mark.parametrize(
    "host", ["a.b.openai.azure.com", "openai.azure.com", "x.openai.azure.com.example", "xopenai.azure.com"]
)
def test_a_pattern_of_hosts_stands_for_one_label(host: str):
    with pytest.raises(AuthenticationError):
        resolve("azure/m", env={"AZURE_API_KEY": "secret"}, base_url=f"https://{host}")


@self_hosted
def test_a_self_hosted_one_without_an_address_names_the_variable(row: Provider):
    with pytest.raises(ConfigurationError, match=row.base_url_variables[0]):
        resolve(f"{row.name}/m", env={"OPENAI_API_KEY": "secret"}, api_key="given")
    assert row.base_url_variables[0] in missing_keys(row, {})


@every_row
def test_a_key_of_openai_is_never_anybody_elses(row: Provider):
    if row.name == "openai":
        return
    env = {"OPENAI_API_KEY": "sk-openai", "OPENAI_ORGANIZATION": "org-openai"}
    env |= {name: value for name, value in env_of(row).items() if value != "secret"}
    if needs_no_key(row):
        assert "sk-" not in sent(row, env)
        assert "org-" not in sent(row, env)
        return
    with pytest.raises(AuthenticationError):
        sent(row, env)


@every_row
def test_no_row_uses_any_variable_of_another_row(row: Provider):
    others = {
        name: "foreign"
        for other in ROWS
        if other is not row
        for name in (*other.key_variables, *other.bearer_variables, *other.header_variables)
        if name not in row.key_variables
    }
    env = others | {name: value for name, value in env_of(row).items() if value != "secret"}
    if needs_no_key(row):
        assert "foreign" not in sent(row, env)
        return
    with pytest.raises(AuthenticationError) as caught:
        sent(row, env)
    assert "foreign" not in caught.value.message


def all_quirks() -> list[tuple[str, Quirks]]:
    return [
        (f"{row.name}/{pattern}" if pattern else row.name, found)
        for row in ROWS
        for pattern, found in (("", row.quirks), *row.model_quirks.items())
    ]


@pytest.mark.parametrize("found", [item[1] for item in all_quirks()], ids=[item[0] for item in all_quirks()])
def test_its_quirks_are_disjoint_and_sensible(found: Quirks):
    gone = set(found.rename) | found.drop
    assert not set(found.rename) & found.drop, "renamed or dropped, not both"
    assert not set(found.rename.values()) & gone, "renamed to a field that is renamed or dropped again"
    assert not (set(found.map_values) | set(found.clamp) | set(found.defaults)) & gone
    assert not {"model", "messages", "input", "stream"} & gone, "without these there is no request"
    assert all(lowest < highest for lowest, highest in found.clamp.values())
    assert all(values and set(values) != set(values.values()) for values in found.map_values.values())


@every_row
def test_quirks_of_models_are_reachable(row: Provider):
    patterns = list(row.model_quirks)
    for position, pattern in enumerate(patterns):
        example = pattern.replace("[1-9]", "1").replace("*", "")
        assert not any(fnmatchcase(example, earlier) for earlier in patterns[:position]), f"{pattern} is hidden"


OPENAI = [
    ("gpt-4o", {"max_tokens": 5, "temperature": 0}, {"max_tokens": 5, "temperature": 0}, []),
    ("gpt-5", {"max_tokens": 5}, {"max_completion_tokens": 5}, []),
    ("gpt-5-mini", {"temperature": 0.5, "top_p": 1}, {}, ["temperature"]),
    ("gpt-5.2", {"max_tokens": 5, "temperature": 0.5}, {"max_completion_tokens": 5, "temperature": 0.5}, []),
    ("gpt-5-chat-latest", {"temperature": 0.5}, {"temperature": 0.5}, []),
    ("o1", {"max_tokens": 5, "presence_penalty": 0.5}, {"max_completion_tokens": 5}, ["presence_penalty"]),
    ("o3-mini", {"max_tokens": 5}, {"max_completion_tokens": 5}, []),
]
OTHERS = [
    ("xai/grok-4", {"stop": ["x"], "temperature": 0.1}, {"temperature": 0.1}, ["stop"]),
    ("xai/grok-4-fast-non-reasoning", {"stop": ["x"]}, {"stop": ["x"]}, []),
    ("mistral/mistral-small", {"seed": 1, "user": "u"}, {"random_seed": 1}, ["user"]),
    ("mistral/mistral-small", {"tool_choice": "required"}, {"tool_choice": "any"}, []),
    ("mistral/mistral-small", {"stream_options": {"include_usage": True}}, {}, []),
    ("groq/llama", {"n": 1, "logprobs": True}, {}, ["logprobs"]),
    ("deepseek/deepseek-chat", {"max_completion_tokens": 9, "user": "u"}, {"max_tokens": 9, "user": "u"}, []),
    ("moonshot/kimi-k2", {"temperature": 1.5}, {"temperature": 1}, ["temperature"]),
]


@pytest.mark.parametrize("model, body, after, lost", [(f"openai/{case[0]}", *case[1:]) for case in OPENAI] + OTHERS)
def test_what_a_vendor_is_sent(model: str, body: dict, after: dict, lost: list[str]):
    target = resolve(model, env={}, api_key="k")
    changed = dict(body)
    warnings = quirks.apply(changed, target.provider.quirks, target.model)
    assert changed == after
    assert [warning.field for warning in warnings] == lost


NEVER_STREAM = {"*-ocr*"}
UNCLEAN = ["openrouter", "mistral", "perplexity", "groq", "xai", "nvidia_nim", "huggingface", "databricks", "writer"]


@pytest.mark.parametrize("name", UNCLEAN)
def test_unclean_streams_are_not_relayed(name: str):
    row = BY_NAME[name]
    streaming = (found for models, found in row.model_quirks.items() if models not in NEVER_STREAM)
    assert not any(found.relay for found in (row.quirks, *streaming))


@pytest.mark.parametrize("name", ["openai", "anthropic", "local", "demo", "hosted_vllm", "deepseek", "cerebras"])
def test_clean_streams_are_relayed(name: str):
    row = BY_NAME[name]
    assert all(found.relay for found in (row.quirks, *row.model_quirks.values()))


def test_deepseek_is_asked_where_its_documentation_says():
    assert BY_NAME["deepseek"].base_url == "https://api.deepseek.com"


def test_the_table_needs_nothing_heavy():
    heavy = "{'asyncio', 'socket', 'ssl', 'hashlib', 'importlib.metadata', 'httpx2', 'email'}"
    code = f"import sys, dragoman.providers.registry; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_a_registry_holds_all_rows():
    assert {row.name for row in Registry().rows} == set(BY_NAME)
