"""LiteLLM's config.yaml, as people have it: read as it is, and what is not obeyed is named at the start."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dragoman.core.errors import ConfigurationError
from dragoman.core.http import Timeouts
from dragoman.gateway.config import Config, read, timeouts
from dragoman.router.policy import Policy
from support.demo_server import demo_server
from support.gateway import gateway

FULL = """
model_list:
  - model_name: fast
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: os.environ/OPENAI_KEY_ONE
      rpm: 60
      weight: 2
      tags: [free]
    model_info: {id: first, mode: chat}
  - model_name: fast
    litellm_params:
      model: azure/my-deployment
      api_base: https://x.openai.azure.com
      api_key: os.environ/OWN
      api_version: "2024-06-01"
    model_info: {base_model: gpt-4o-mini}
  - model_name: large
    litellm_params: {model: anthropic/claude-opus-4-1, api_key: sk-ant-1234}
  - model_name: "groq/*"
    litellm_params: {model: "groq/*", api_key: os.environ/OPENAI_KEY_ONE}
router_settings:
  routing_strategy: latency-based-routing
  num_retries: 3
  fallbacks: [{fast: [large]}]
  model_group_alias: {gpt-4: large, hidden: {model: fast, hidden: true}}
  timeout: 30
  redis_host: os.environ/REDIS_HOST
litellm_settings:
  drop_params: true
  num_retries: 7
  request_timeout: 600
  context_window_fallbacks: [{fast: [large]}]
  callbacks: [prometheus, datadog]
  set_verbose: false
general_settings:
  master_key: os.environ/MASTER_KEY
  max_request_size_mb: 8
  database_url: postgresql://x
environment_variables:
  OWN: sk-own-1234
policies: {}
"""
ENV = {"OPENAI_KEY_ONE": "sk-one-1234", "MASTER_KEY": "sk-master-1234", "REDIS_HOST": "cache"}


def loaded(text: str, env: dict[str, str] = ENV) -> tuple[Config, Policy]:
    return read(text, file="config.yaml", env=env)


def refusal(text: str) -> str:
    with pytest.raises(ConfigurationError) as failure:
        loaded(text)
    assert "sk-" not in failure.value.message
    return failure.value.message


def test_a_whole_file_is_read() -> None:
    config, policy = loaded(FULL)
    assert policy.names == ("fast", "large")
    targets = [(deployment.target.provider.name, deployment.target.api_key) for deployment in policy.deployments]
    assert targets == [("openai", "sk-one-1234"), ("azure", "sk-own-1234"), ("anthropic", "sk-ant-1234")]
    first = policy.deployments[0]
    assert (first.id, first.terms.rpm, first.terms.weight, first.terms.tags) == ("first", 60, 2, frozenset({"free"}))
    assert policy.deployments[1].terms.defaults == {}, "what is not obeyed is kept from the provider"
    assert [node.deployment.group for node in policy.group("gpt-4").nodes] == ["large"]
    assert policy.group("groq/llama-3").nodes[0].deployment.target.model == "llama-3"
    assert (policy.settings.strategy, policy.settings.retry.max_retries) == ("latency-based-routing", 3)
    assert policy.settings.fallbacks.of("fast", None) == ("large",)
    assert policy.settings.fallbacks.of("fast", "context_window") == ("large",)
    assert (config.server.api_key, config.server.max_body_mb, config.strict) == ("sk-master-1234", 8, False)
    assert timeouts(config.timeouts) == Timeouts(connect=10.0, first_token=30, idle=30)
    assert config.shared is not None
    assert config.shared.url == "redis://cache:6379/0"


def test_what_is_not_obeyed_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "dragoman.gateway"):
        loaded(FULL)
    told = "\n".join(caplog.messages)
    for name in (
        "litellm_settings.callbacks: datadog is not obeyed",
        "general_settings.database_url is not obeyed",
        "policies is not obeyed",
    ):
        assert name in told
    for name in ("drop_params", "num_retries", "set_verbose", "master_key", "max_request_size_mb", "sk-"):
        assert name not in told
    assert all(message.startswith("config.yaml: ") for message in caplog.messages)


ONE = "model_list:\n- model_name: a\n  litellm_params: {model: demo/echo}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_list: []", "config.yaml:1: model_list: expected a list of models"),
        ("model_list:\n- model_name: a", "config.yaml:2: model_list[0].litellm_params.model: expected provider/model"),
        (
            "model_list:\n- model_name: a\n  litellm_params:\n    model: openai/x\n    api_key: os.environ/NOT_THERE",
            "config.yaml:5: model_list[0].litellm_params.api_key: the environment variable NOT_THERE is not set",
        ),
        (
            "model_list:\n- model_name: a\n  litellm_params:\n    model: demo/echo\n    weigt: 3",
            "config.yaml:5: model_list[0].litellm_params.weigt: unknown key; did you mean weight?",
        ),
        (
            "model_list:\n- model_name: a\n  litellm_params:\n    model: demo/echo\n    max_budget: 3",
            "config.yaml:5: model_list[0].litellm_params.max_budget: ",
        ),
        ("model_list:\n- model_name: a\n  litellm_params: {model: openai/x}", "config.yaml:3: model_list[0].litellm_params: "),
        (ONE + "router_settings:\n  routing_strategy: best", "config.yaml:4: router_settings: "),
        (ONE + "router_settings: {num_retriez: 1}", "config.yaml:4: router_settings: unknown argument 'num_retriez'; did you"),
        (
            ONE + "router_settings: {fallbacks: [{a: [b]}]}",
            "config.yaml:4: router_settings: fallbacks: a: no model is",
        ),
        (ONE + "router_settings: {timeout: soon}", "config.yaml:4: router_settings.timeout: expected a number above 0"),
        (ONE + "router_settings: {model_group_alias: {x: 3}}", "config.yaml:4: router_settings.model_group_alias.x: "),
        (ONE + "router_settings: 3", "config.yaml:4: router_settings: expected keys and values, found int"),
        (ONE + "general_settings: {master_key: ' x'}", "config.yaml:4: general_settings.master_key: expected visible ASCII"),
        (ONE + "general_settings: {max_request_size_mb: 0}", "config.yaml:4: general_settings.max_request_size_mb: "),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(text: str, message: str) -> None:
    assert refusal(text).startswith(message)


def test_defaults_hold_for_each_deployment() -> None:
    text = ONE + "router_settings: {default_litellm_params: {timeout: 9, temperature: 0}}"
    (deployment,) = loaded(text)[1].deployments
    assert (deployment.terms.timeout, deployment.terms.defaults) == (9, {"temperature": 0})


def test_an_invalid_deployment_may_be_left_out_and_is_told(caplog: pytest.LogCaptureFixture) -> None:
    text = ONE + "- model_name: b\n  litellm_params: {model: openai/x}\nrouter_settings: {ignore_invalid_deployments: true}"
    with caplog.at_level(logging.WARNING, "dragoman.gateway"):
        assert loaded(text, {})[1].names == ("a",)
    assert "model_list[1].litellm_params" in caplog.text


def test_parameters_are_errors_where_dropping_them_is_off() -> None:
    assert loaded(ONE + "litellm_settings: {drop_params: false}")[0].strict


def test_it_is_served() -> None:
    with demo_server() as demo:
        place = f"api_base: '{demo.openai_url}', api_key: sk-upstream"
        config = f"""
model_list:
  - {{model_name: fast, litellm_params: {{model: 'openai/echo?fail=500', order: 0, {place}}}}}
  - {{model_name: fast, litellm_params: {{model: openai/echo, order: 1, {place}}}, model_info: {{id: good}}}}
"""
        with gateway(config) as served:
            answer: Any = served.get("/v1/models")
    assert [model["id"] for model in answer["data"]] == ["fast"]


OBSERVED = """
model_list:
  - {model_name: fast, litellm_params: {model: openai/gpt-4o-mini, api_key: sk-x}}
litellm_settings:
  callbacks: [prometheus, otel]
  success_callback: [langfuse]
  failure_callback: langfuse
  json_logs: true
general_settings:
  alerting: [slack]
environment_variables:
  SLACK_WEBHOOK_URL: https://hooks.slack.test/services/x
"""


def test_what_watches_a_gateway_is_read(caplog: pytest.LogCaptureFixture) -> None:
    config, _ = read(OBSERVED, file="config.yaml", env={})
    assert config.telemetry.names == ("otel", "langfuse")
    assert (config.logs.format, config.logs.requests) == ("json", True)
    assert config.alerts is not None
    assert config.alerts.slack == "https://hooks.slack.test/services/x"
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (OBSERVED.partition("environment_variables")[0], "slack needs the environment variable SLACK_WEBHOOK_URL"),
        (OBSERVED.replace("[langfuse]", "{a: 1}"), "litellm_settings.success_callback: expected a list of names"),
    ],
)
def test_what_cannot_watch_is_an_error(changed: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read(changed, file="config.yaml", env={})
