"""What is different between two configurations, each of our kind or LiteLLM's, and never a secret."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from dragoman.gateway.changes import changes
from dragoman.gateway.config import read
from dragoman.gateway.router_config import RouterEntry, settings, written
from dragoman.gateway.yaml_config import Document

ENV = {"OPENAI_API_KEY": "sk-of-the-environment"}
OURS = """
models:
  - {name: fast, model: openai/gpt-4o-mini, api_key: sk-one, rpm: 60, input_price: 0.15, tags: [free], id: first}
  - {name: fast, model: azure/mine, api_base: "https://x.openai.azure.com", api_key: sk-two, base_model: gpt-4o-mini}
  - {name: large, model: anthropic/claude-opus-4-1, api_key: sk-three, max_parallel: 3, defaults: {temperature: 0.5}}
  - {name: "groq/*", model: "groq/*", api_key: sk-four, headers: {X-Team: ours}}
router:
  strategy: simple-shuffle
  fallbacks: {fast: [large]}
  default_fallbacks: [large]
  aliases: {gpt-4: large}
  cooldown: {failures: 4}
  retries: {rate_limit: 5}
retries: 3
server: {api_key: sk-master}
"""
LITELLM = """
model_list:
  - model_name: fast
    litellm_params: {model: openai/gpt-4o-mini, api_key: sk-one, input_cost_per_token: 0.00000015, tags: [free]}
    model_info: {id: first}
    rpm: "60"
  - model_name: fast
    litellm_params: {model: mine, custom_llm_provider: azure, base_url: "https://x.openai.azure.com", api_key: sk-two}
    model_info: {base_model: gpt-4o-mini}
  - model_name: large
    litellm_params: {model: anthropic/claude-opus-4-1, api_key: sk-three, max_parallel_requests: 3, temperature: 0.5}
  - model_name: groq/*
    litellm_params: {model: groq/*, api_key: sk-four, extra_headers: {x-team: ours}}
router_settings:
  routing_strategy: simple-shuffle
  num_retries: 3
  fallbacks: [{fast: [large]}]
  default_fallbacks: [large]
  model_group_alias: {gpt-4: large}
  allowed_fails: 3
  retry_policy: {RateLimitErrorRetries: 5}
general_settings: {master_key: sk-master}
"""
KINDS = {"ours": OURS, "litellm": LITELLM}


def lines(before: str, after: str) -> list[str]:
    return [str(change) for change in changes(*(read(text, file="x.yaml", env=ENV) for text in (before, after)))]


@pytest.mark.parametrize("before", KINDS)
@pytest.mark.parametrize("after", KINDS)
def test_two_files_that_mean_the_same_are_no_difference_of_whichever_kind(before: str, after: str) -> None:
    assert lines(KINDS[before], KINDS[after]) == []


DIFFERENT = [
    ('"60"', '"61"', "~ models[first].rpm: 60 -> 61"),
    ("sk-two", "sk-other", "~ models[fast#1].api_key: (hidden) -> (hidden)"),
    ("temperature: 0.5", "temperature: 0.6", "~ models[large#2].defaults.temperature: 0.5 -> 0.6"),
    ("max_parallel_requests: 3, ", "", "- models[large#2].max_parallel: 3"),
    ("base_model: gpt-4o-mini", "base_model: gpt-4o-mini, mode: chat", '+ models[fast#1].info.mode: "chat"'),
    ("base_model: gpt-4o-mini", "base_model: gpt-4o-mini, blocked: true", "+ models[fast#1].blocked: true"),
    ("base_model: gpt-4o-mini", "base_model: gpt-4o-mini, id: second", '+ models[second].id: "second"'),
    ("{x-team: ours}", "{x-team: mine}", "~ models[groq/*#3].headers.x-team: (hidden) -> (hidden)"),
    ("model: groq/*,", "model: groq/llama-*,", '~ models[groq/*#3].model: "groq/*" -> "groq/llama-*"'),
    ("api_key: sk-three", "api_key: sk-three, organization: o", "+ models[large#2].headers.openai-organization: (hidden)"),
    ("api_key: sk-two", "api_key: sk-two, drop_params: true", "+ models[fast#1].drop_params: true"),
    (
        "https://x.",
        "https://y.",
        '~ models[fast#1].api_base: "https://x.openai.azure.com" -> "https://y.openai.azure.com"',
    ),
    ("num_retries: 3", "num_retries: 4", "~ retries: 3 -> 4"),
    ("num_retries: 3", "num_retries: 3, retry_after: 2".replace(", ", "\n  "), "+ router.retry_after: 2.0"),
    ("  allowed_fails: 3\n", "  allowed_fails: 3\n  cooldown_time: 9\n", "~ router.cooldown.seconds: 5.0 -> 9.0"),
    ("  allowed_fails: 3\n", "  allowed_fails: 3\n  hedge: true\n", "+ router.hedge.at_least: 0.05"),
    ("[{fast: [large]}]", "[{fast: [groq/x]}]", '~ router.fallbacks.fast: ["large"] -> ["groq/x"]'),
    ("{gpt-4: large}", "{gpt-4: {model: large, hidden: true}}", '+ router.hidden: ["gpt-4"]'),
    ("sk-master", "sk-another", "~ server.api_key: (hidden) -> (hidden)"),
]


@pytest.mark.parametrize(("old", "new", "line"), DIFFERENT)
@pytest.mark.parametrize("before", KINDS)
def test_each_difference_is_told_in_the_words_of_our_file(before: str, old: str, new: str, line: str) -> None:
    assert old in LITELLM
    told = lines(KINDS[before], LITELLM.replace(old, new, 1))
    assert told[0] == line
    assert len(told) == (3 if "hedge" in new else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_one_more_at_the_top_is_one_more(kind: str) -> None:
    first = (
        "  - {name: new, model: openai/gpt-4.1}\n"
        if kind == "ours"
        else ("  - {model_name: new, litellm_params: {model: openai/gpt-4.1}}\n")
    )
    heading = KINDS[kind].splitlines()[1] + "\n"
    more = KINDS[kind].replace(heading, heading + first, 1)
    assert lines(KINDS[kind], more) == ['+ models[new#0].model: "openai/gpt-4.1"', '+ models[new#0].name: "new"']
    assert lines(more, KINDS[kind]) == ['- models[new#0].model: "openai/gpt-4.1"', '- models[new#0].name: "new"']


def test_of_several_alike_each_is_one() -> None:
    entry = "- {model_name: m, litellm_params: {model: openai/x}}\n"
    assert lines(f"model_list:\n{entry * 2}", f"model_list:\n{entry * 3}") == [
        '+ models[m#2].model: "openai/x"',
        '+ models[m#2].name: "m"',
    ]


SECRETS = """
model_list:
  - model_name: m
    litellm_params:
      model: bedrock/anthropic.claude-3-5-sonnet-20240620-v1:0
      aws_access_key_id: S3CRET-1{0}
      aws_secret_access_key: S3CRET-2{0}
      aws_session_token: S3CRET-3{0}
      aws_region_name: eu-central-1
  - model_name: n
    litellm_params:
      model: openai/x
      api_key: S3CRET-4{0}
      extra_headers: {{authorization: Bearer S3CRET-7{0}}}
      extra_body: {{auth: S3CRET-8{0}, password: S3CRET-9{0}}}
  - model_name: "p/*"
    litellm_params: {{model: "openai/*", api_key: x, api_base: "https://ann:S3CRET-5{0}@x.test/v1?sig=S3CRET-6{0}"}}
  - model_name: v
    litellm_params:
      model: vertex_ai/gemini-2.5-pro
      vertex_project: p
      vertex_location: l
      vertex_credentials: {{type: service_account, client_email: S3CRET-a{0}, private_key: S3CRET-b{0}}}
router_settings: {{redis_url: "redis://:S3CRET-c{0}@localhost:6379"}}
general_settings: {{master_key: S3CRET-d{0}}}
"""


def test_no_secret_is_shown() -> None:
    pytest.importorskip("botocore")
    for before, after in ((SECRETS.format(1), SECRETS.format(2)), (OURS, SECRETS.format(1)), (SECRETS.format(1), OURS)):
        told = "\n".join(lines(before, after))
        assert "(hidden)" in told
        assert "S3CRET" not in told
        assert "sk-" not in told
    assert 'models[p/*#2].api_base: "https://(hidden)@x.test/v1?(hidden)"' in told
    assert "models[m#0].aws_secret_access_key: (hidden)" in told


ROUTER: dict[str, Any] = {
    "strategy": "cost-based-routing",
    "group_strategy": {"fast": "simple-shuffle"},
    "aliases": {"a": "fast"},
    "retries": {"rate_limit": 1},
    "retry_share": 0.2,
    "max_wait": 9.0,
    "fallbacks": {"fast": ["large"]},
    "default_fallbacks": ["x"],
    "context_window_fallbacks": {"fast": ["y"]},
    "content_policy_fallbacks": {"fast": ["z"]},
    "max_fallbacks": 2,
    "cooldown": {
        "enabled": False,
        "failures": 2,
        "lowest_rate": 0.1,
        "window": 3.0,
        "seconds": 4.0,
        "longest": 6.0,
        "most_out": 0.5,
        "allowed": {"timeout": 4},
    },
    "hedge": {"share": 0.1, "quantile": 0.5, "at_least": 1.0, "most_cost": 0.25},
    "continuation": {"enabled": True, "most": 3, "instruction": "on"},
    "throughput_guard": {"tokens_per_second": 4.0, "window": 2.0, "most_wait": 1.0},
    "queue": {"max_wait": 3.0, "max_length": 7, "priority": 5},
    "fixed_windows": True,
    "max_parallel": 9,
    "tag_filtering": True,
    "all_tags": True,
}


def test_the_settings_of_a_router_are_written_as_they_were_read() -> None:
    assert ROUTER.keys() | {"strategy_arguments"} == set(RouterEntry.__struct_fields__)
    for said in (ROUTER, {}, {"continuation": {"enabled": False}}):
        entry = msgspec.convert(said, RouterEntry)
        read_as = settings(Document("x.yaml", {}, {}), entry, retries=7)
        assert read_as.retry.max_retries == 7
        assert written(read_as, entry.aliases) == entry
