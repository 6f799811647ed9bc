"""`litellm.Router(...)`'s arguments: what each becomes, and that none is swallowed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dragoman.core.errors import ConfigurationError
from dragoman.router.litellm_settings import read_arguments
from dragoman.router.state import Settings


def read(**given: Any) -> Settings:
    return read_arguments(given).settings


CASES = {
    "num_retries": ({"num_retries": 5}, lambda s: s.retry.max_retries == 5),
    "retry_after": ({"retry_after": 2}, lambda s: s.retry.least == 2.0),
    "retry_policy": (
        {"retry_policy": {"RateLimitErrorRetries": 4, "BadRequestErrorRetries": 0}},
        lambda s: s.retry.by_kind == {"rate_limit": 4, "request": 0, "unsupported": 0},
    ),
    "an object as policy": (
        {"retry_policy": SimpleNamespace(TimeoutErrorRetries=3)},
        lambda s: s.retry.by_kind == {"timeout": 3},
    ),
    "model_group_retry_policy": (
        {"model_group_retry_policy": {"m": {"AuthenticationErrorRetries": 1}}, "num_retries": 7},
        lambda s: (s.group_retry["m"].by_kind, s.group_retry["m"].max_retries) == ({"credential": 1}, 7),
    ),
    "allowed_fails": ({"allowed_fails": 3}, lambda s: s.health.failures == 4),
    "allowed_fails_policy": (
        {"allowed_fails_policy": {"TimeoutErrorAllowedFails": 9}},
        lambda s: s.health.allowed == {"timeout": 9},
    ),
    "cooldown_time": ({"cooldown_time": 30}, lambda s: s.health.base == 30.0),
    "disable_cooldowns": ({"disable_cooldowns": True}, lambda s: not s.health.enabled),
    "fallbacks": (
        {"fallbacks": [{"a": ["b", "c"]}, {"d": "e"}], "default_fallbacks": ["z"], "max_fallbacks": 2},
        lambda s: (s.fallbacks.any, s.fallbacks.most) == ({"*": ("z",), "a": ("b", "c"), "d": ("e",)}, 2),
    ),
    "context_window_fallbacks": (
        {"context_window_fallbacks": [{"a": ["b"]}]},
        lambda s: s.fallbacks.of("a", "context_window") == ("b",),
    ),
    "content_policy_fallbacks": (
        {"content_policy_fallbacks": [{"*": ["b"]}]},
        lambda s: s.fallbacks.of("a", "content_policy") == ("b",),
    ),
    "routing_strategy": (
        {"routing_strategy": "latency-based-routing", "routing_strategy_args": {"ttl": 10}},
        lambda s: (s.strategy, s.strategy_arguments) == ("latency-based-routing", {"ttl": 10}),
    ),
    "the default strategy is ours": ({}, lambda s: s.strategy == "uptime-latency"),
    "default_max_parallel_requests": ({"default_max_parallel_requests": 8}, lambda s: s.max_parallel == 8),
    "tags": ({"enable_tag_filtering": True, "tag_filtering_match_any": False}, lambda s: s.tag_filtering and s.all_tags),
    "None is not given": ({"num_retries": None, "fallbacks": None}, lambda s: s.retry.max_retries == 2),
}


@pytest.mark.parametrize(("given", "holds"), CASES.values(), ids=CASES)
def test_what_an_argument_becomes(given: dict[str, Any], holds: Any) -> None:
    assert holds(read(**given))


WRONG = {
    "slip": ({"num_retires": 3}, "unknown argument 'num_retires'; did you mean num_retries"),
    "number": ({"num_retries": "3"}, "num_retries: expected a whole number from 0 up, found '3'"),
    "negative": ({"cooldown_time": -1}, "cooldown_time: expected seconds from 0 up"),
    "policy": ({"retry_policy": {"TimeoutRetries": 3}}, "retry_policy.TimeoutRetries: unknown field; there are: BadRequest"),
    "lists": ({"fallbacks": ["b"]}, r"fallbacks\[0\]: expected \{group: \[groups\]\}, found 'b'"),
    "names": ({"fallbacks": [{"a": [3]}]}, r"fallbacks\[0\].a: expected names of model groups"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(**given)


def test_what_is_not_obeyed_is_told_and_what_is_for_calls_handed_on() -> None:
    found = read_arguments({"caching_groups": [("a", "b")], "redis_url": "redis://x", "timeout": 20, "model_list": []})
    assert found.warnings == ("Router: caching_groups is not obeyed: an answer is kept under the group that was asked",)
    assert found.rest == {"redis_url": "redis://x", "timeout": 20, "model_list": []}
