"""The arguments of `litellm.Router`, as they are, -> `Settings`. Pure. Called by `Router` and for router_settings.

What is obeyed is in the tables here; what LiteLLM knows and this does not obey is told in `warnings`, never swallowed;
what nobody knows is a ConfigurationError with the nearest name.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from msgspec import Struct, ValidationError, convert, structs

from dragoman.core.errors import ConfigurationError
from dragoman.router.continuation import INSTRUCTION, ContinuationPolicy
from dragoman.router.fallback import ANY, Fallbacks, read_lists, read_names
from dragoman.router.health import HealthPolicy
from dragoman.router.hedge import HedgePolicy
from dragoman.router.queue import OFF, QueuePolicy
from dragoman.router.retry import RetryPolicy
from dragoman.router.state import Settings
from dragoman.router.throughput import ThroughputGuard

Policy_ = TypeVar("Policy_", bound=Struct)


class RouterArguments(Struct, frozen=True, kw_only=True):
    """`rest` is for whoever makes the calls: timeouts, defaults, the model list and its aliases."""

    settings: Settings
    rest: dict[str, Any] = {}
    warnings: tuple[str, ...] = ()


def read_arguments(given: Mapping[str, Any]) -> RouterArguments:
    """Raises ConfigurationError that names the argument. An argument that is None is one that was not given."""
    said = {name: value for name, value in given.items() if value is not None}
    for name in said:
        if name not in _KNOWN:
            near = get_close_matches(name, _KNOWN, n=1)
            raise ConfigurationError(f"Router: unknown argument {name!r}{f'; did you mean {near[0]}?' if near else ''}")
    retry = _retry(said)
    group_retry = {
        group: structs.replace(retry, by_kind=_by_kind(policy, _RETRIES, f"model_group_retry_policy.{group}"))
        for group, policy in said.get("model_group_retry_policy", {}).items()
    }
    settings = Settings(
        strategy=_strategy(said.get("routing_strategy")),
        strategy_arguments=dict(said.get("routing_strategy_args", {})),
        retry=retry,
        group_retry=group_retry,
        health=_health(said),
        fallbacks=_fallbacks(said),
        hedge=_policy(said.get("hedge"), "hedge", HedgePolicy()),
        continuation=_continuation(said),
        throughput_guard=_policy(said.get("throughput_guard"), "throughput_guard", ThroughputGuard()),
        queue=_queue(said),
        max_parallel=_whole(said, "default_max_parallel_requests", None),
        tag_filtering=bool(said.get("enable_tag_filtering", False)),
        all_tags=not said.get("tag_filtering_match_any", True),
    )
    return RouterArguments(
        settings=settings,
        rest={name: said[name] for name in _FOR_CALLS if name in said},
        warnings=tuple(f"Router: {name} is not obeyed: {why}" for name, why in _NOT_OBEYED.items() if said.get(name)),
    )


def _strategy(given: Any) -> str:
    """A name, or a member of LiteLLM's enumeration of them. Without one it is ours, where LiteLLM shuffles."""
    return Settings().strategy if given is None else str(getattr(given, "value", given))


def _retry(said: Mapping[str, Any]) -> RetryPolicy:
    return RetryPolicy(
        max_retries=_whole(said, "num_retries", RetryPolicy().max_retries),
        least=_seconds(said, "retry_after", 0.0),
        by_kind=_by_kind(said.get("retry_policy"), _RETRIES, "retry_policy"),
    )


def _health(said: Mapping[str, Any]) -> HealthPolicy:
    """LiteLLM ejects at more failures than are allowed, we at so many in a row: one more than allowed."""
    rules = HealthPolicy()
    allowed = _whole(said, "allowed_fails", None)
    return structs.replace(
        rules,
        enabled=not said.get("disable_cooldowns", False),
        failures=rules.failures if allowed is None else allowed + 1,
        base=_seconds(said, "cooldown_time", rules.base),
        allowed=_by_kind(said.get("allowed_fails_policy"), _ALLOWED, "allowed_fails_policy"),
    )


def _continuation(said: Mapping[str, Any]) -> ContinuationPolicy | None:
    """LiteLLM's switch asks every model for the rest, by an instruction; without one only those that take prefill are asked."""
    asked = said.get("enable_mid_stream_fallback_continuation")
    usual = ContinuationPolicy(instruction=INSTRUCTION) if asked else ContinuationPolicy()
    return _policy(said.get("continuation", asked is not False), "continuation", usual)


def _queue(said: Mapping[str, Any]) -> QueuePolicy:
    """LiteLLM's default_priority has every call wait in its scheduler."""
    usual = QueuePolicy(priority=_whole(said, "default_priority", QueuePolicy().priority))
    return _policy(said.get("queue", "default_priority" in said), "queue", usual) or OFF


def _policy(given: Any, place: str, usual: Policy_) -> Policy_ | None:
    """True for the usual one, a dict of what is different, or one that is ready; False for none."""
    if given is None or given is False:
        return None
    if given is True:
        return usual
    if isinstance(given, type(usual)):
        return given
    try:
        return convert({**structs.asdict(usual), **given}, type(usual))
    except (TypeError, ValidationError) as problem:
        raise ConfigurationError(
            f"{place}: {problem}; expected True, False, or a dict of {', '.join(usual.__struct_fields__)}"
        ) from None


def _fallbacks(said: Mapping[str, Any]) -> Fallbacks:
    lists = read_lists(said.get("fallbacks"), "fallbacks")
    default = read_names(said.get("default_fallbacks"), "default_fallbacks")
    return Fallbacks(
        any={ANY: default, **lists} if default else lists,
        context_window=read_lists(said.get("context_window_fallbacks"), "context_window_fallbacks"),
        content_policy=read_lists(said.get("content_policy_fallbacks"), "content_policy_fallbacks"),
        most=_whole(said, "max_fallbacks", Fallbacks().most),
    )


_KINDS_OF_ERRORS = {
    "BadRequestError": ("request", "unsupported"),
    "AuthenticationError": ("credential",),
    "TimeoutError": ("timeout",),
    "RateLimitError": ("rate_limit",),
    "ContentPolicyViolationError": ("content_policy",),
    "InternalServerError": ("server", "connection", "decode"),
    "ServiceUnavailableError": ("unavailable",),
    "BadGatewayError": ("server",),
    "NotFoundError": ("refused",),
}
_RETRIES = {f"{name}Retries": kinds for name, kinds in _KINDS_OF_ERRORS.items()}
_ALLOWED = {f"{name}AllowedFails": kinds for name, kinds in _KINDS_OF_ERRORS.items()}
"""Fields of LiteLLM's RetryPolicy and AllowedFailsPolicy -> our kinds of failure."""


def _by_kind(policy: Any, fields: Mapping[str, tuple[str, ...]], place: str) -> dict[str, int]:
    """A dict, or an object with these attributes. Raises ConfigurationError for a field it does not know."""
    if policy is None:
        return {}
    given = policy if isinstance(policy, Mapping) else {name: getattr(policy, name, None) for name in fields}
    found: dict[str, int] = {}
    for name, value in given.items():
        if name not in fields:
            raise ConfigurationError(f"{place}.{name}: unknown field; there are: {', '.join(fields)}")
        if value is not None:
            found.update(dict.fromkeys(fields[name], _count(value, f"{place}.{name}")))
    return found


def _whole(said: Mapping[str, Any], name: str, default: Any) -> Any:
    return _count(said[name], name) if name in said else default


def _count(value: Any, place: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ConfigurationError(f"{place}: expected a whole number from 0 up, found {value!r}")
    return value


def _seconds(said: Mapping[str, Any], name: str, default: float) -> float:
    value = said.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise ConfigurationError(f"{name}: expected seconds from 0 up, found {value!r}")
    return float(value)


_OBEYED = frozenset(
    "num_retries retry_after retry_policy model_group_retry_policy allowed_fails allowed_fails_policy cooldown_time "
    "disable_cooldowns fallbacks default_fallbacks context_window_fallbacks content_policy_fallbacks max_fallbacks "
    "routing_strategy routing_strategy_args default_max_parallel_requests enable_tag_filtering tag_filtering_match_any "
    "enable_mid_stream_fallback_continuation continuation throughput_guard hedge queue default_priority".split()
)
_FOR_CALLS = (
    "cache_responses",
    "cache_kwargs",
    "redis_url",
    "redis_host",
    "redis_port",
    "redis_password",
    "redis_db",
    "model_list",
    "model_group_alias",
    "timeout",
    "stream_timeout",
    "default_litellm_params",
    "ignore_invalid_deployments",
)
_ALWAYS_SO = frozenset(
    "enable_pre_call_checks fallback_on_unsupported_params set_verbose debug_level client_ttl polling_interval "
    "enable_weighted_failover session_affinity_repin_on_failover".split()
)
"""Checks that always run, and what only matters to LiteLLM's own inside."""

_NOT_OBEYED = {
    "caching_groups": "an answer is kept under the group that was asked",
    **dict.fromkeys(
        ("provider_budget_config", "alerting_config", "guardrail_list"), "budgets and guardrails are the gateway's"
    ),
    **dict.fromkeys(("assistants_config", "search_tools", "plugins", "routing_groups"), "there is no such thing here"),
    **dict.fromkeys(("tag_routing_prefix", "router_general_settings"), "there is no such thing here"),
    **dict.fromkeys(
        ("optional_pre_call_checks", "deployment_affinity_ttl_seconds", "model_group_affinity_config"),
        "affinity is by session or prompt_cache_key, where a request has one",
    ),
    **dict.fromkeys(
        (
            "enable_health_check_routing",
            "health_check_staleness_threshold",
            "health_check_ignore_transient_errors",
            "background_health_check_model_groups",
        ),
        "health is learnt from real requests",
    ),
    **dict.fromkeys(
        ("fallback_access_check", "fallback_budget_check", "auto_router_capability_limit"), "there is no such thing here"
    ),
}
_KNOWN = frozenset({*_OBEYED, *_FOR_CALLS, *_ALWAYS_SO, *_NOT_OBEYED})
