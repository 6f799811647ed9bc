"""What a Router shows and takes: entries of the model list, what a group can do, and strategies written for LiteLLM."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from dragoman.client.models import get_model_info
from dragoman.client.objects import OpenAIObject
from dragoman.core.errors import BadRequestError, ConfigurationError
from dragoman.router.balance import Strategy
from dragoman.router.deployment import Deployment
from dragoman.router.state import Ask, Node

_SECRET = ("key", "secret", "token", "password", "headers")


class LiteLLMParams(OpenAIObject):
    """Printed without its keys."""

    model: str
    api_key: str | None
    api_base: str | None
    rpm: int | None
    tpm: int | None
    weight: float | None

    def __repr__(self) -> str:
        return repr({name: "..." if any(part in name for part in _SECRET) else value for name, value in self.items()})


class ModelInfo(OpenAIObject):
    id: str
    base_model: str | None


class DeploymentEntry(OpenAIObject):
    """An entry of the model list, read by attribute or item."""

    model_name: str
    litellm_params: LiteLLMParams
    model_info: ModelInfo
    _nested = {"litellm_params": LiteLLMParams, "model_info": ModelInfo}


class ModelGroupInfo(OpenAIObject):
    """A group's facts: the largest sizes, the highest prices (USD per token), the sum of its limits, what any one can do."""

    model_group: str
    providers: list[str]
    max_input_tokens: int | None
    max_output_tokens: int | None
    input_cost_per_token: float | None
    output_cost_per_token: float | None
    tpm: int | None
    rpm: int | None
    mode: str | None


def deployment_entry(given: Any) -> dict[str, Any]:
    """An entry as a dict: of one, or of an object with its fields. Raises ConfigurationError for anything else."""
    if isinstance(given, dict):
        return given
    fields = {name: getattr(given, name, None) for name in ("model_name", "litellm_params", "model_info")}
    if fields["model_name"] is None or fields["litellm_params"] is None:
        raise ConfigurationError(f"expected a dict with model_name and litellm_params, found {type(given).__name__}")
    return {name: _as_dict(value) for name, value in fields.items() if value is not None}


def _as_dict(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return value if dump is None or isinstance(value, dict) else dump(exclude_none=True)


def group_info(name: str, deployments: Sequence[Deployment]) -> ModelGroupInfo:
    facts = [info for deployment in deployments if (info := _info(deployment)) is not None]
    terms = [deployment.terms for deployment in deployments]
    able = {key for info in facts for key, value in info.items() if key.startswith("supports_") and value}
    shown: ModelGroupInfo = ModelGroupInfo.of(
        {
            "model_group": name,
            "providers": list(dict.fromkeys(deployment.target.provider.name for deployment in deployments)),
            **{key: _most(info.get(key) for info in facts) for key in _LARGEST},
            "rpm": _sum(term.rpm for term in terms),
            "tpm": _sum(term.tpm for term in terms),
            "mode": next((info["mode"] for info in facts if info.get("mode")), None),
            **dict.fromkeys(sorted(able), True),
        }
    )
    return shown


_LARGEST = ("max_input_tokens", "max_output_tokens", "input_cost_per_token", "output_cost_per_token")


def _info(deployment: Deployment) -> dict[str, Any] | None:
    base = deployment.terms.info.get("base_model")
    try:
        return get_model_info(base) if base else get_model_info(deployment.target.model, deployment.target.provider.name)
    except BadRequestError:  # nothing is known of it
        return None


def _most(values: Iterable[Any]) -> Any:
    return max((value for value in values if value is not None), default=None)


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


class OwnStrategy(Strategy):
    """LiteLLM's CustomRoutingStrategyBase as a strategy. Of the request it is told what the policy knows: its group."""

    def __init__(self, custom: Any, find: Callable[[str], DeploymentEntry | None]) -> None:
        if not callable(getattr(custom, "get_available_deployment", None)):
            raise ConfigurationError(f"{type(custom).__name__} has no get_available_deployment: that is what chooses")
        self._custom = custom
        self._find = find

    def choose(self, nodes: Sequence[Node], ask: Ask) -> Node:
        group = ask.facts.group
        entry = self._custom.get_available_deployment(
            model=group, messages=None, input=None, specific_deployment=False, request_kwargs={}
        )
        wanted = _id_of(entry)
        found = next((node for node in nodes if node.deployment.id == wanted), None)
        if found is not None:
            return found
        if wanted is None or self._find(wanted) is None:
            kind = type(self._custom).__name__
            raise ConfigurationError(f"{kind}.get_available_deployment gave no entry of the router's model_list for {group!r}")
        return ask.rng.choice(nodes)


def _id_of(entry: Any) -> str | None:
    info = entry.get("model_info") if isinstance(entry, dict) else getattr(entry, "model_info", None)
    name = info.get("id") if isinstance(info, dict) else getattr(info, "id", None)
    return name if isinstance(name, str) else None
