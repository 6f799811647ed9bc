"""What configurations are compared by: the keys of our own file, whichever kind a file is. Pure; called by `changes`.

What an entry of LiteLLM's says is told in our words where there is one, else in LiteLLM's (`aws_region_name`, `info.mode`):
nothing is left out. Secrets are in it as they are, and hidden by who shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from dragoman.gateway.config import Config
from dragoman.gateway.models import NANO_DOLLARS, ModelEntry, entry_id
from dragoman.gateway.router_config import written
from dragoman.router.deployment import Terms
from dragoman.router.model_list import has_own_id, read_entry
from dragoman.router.policy import Policy


class Deployed(Struct, frozen=True, kw_only=True):
    """One deployment. `id` is what its file calls it, if anything; `label` that, or its name and its place in the list."""

    label: str
    id: str | None
    said: dict[str, Any]


def deployments(config: Config, policy: Policy) -> tuple[Deployed, ...]:
    """In the order of the file."""
    found = [_ours(entry, place) for place, entry in enumerate(config.models)]
    found += [_litellm(entry, place) for place, entry in enumerate(policy.models.entries.values())]
    return tuple(found)


def settings(config: Config, policy: Policy) -> dict[str, Any]:
    """All but the deployments, as plain data."""
    said: dict[str, Any] = msgspec.to_builtins(config)
    del said["models"]
    if policy.models.entries:  # LiteLLM's router_settings are in the policy alone
        said["router"] = msgspec.to_builtins(written(policy.settings, policy.models.aliases)) | _beyond(policy)
    return said


def _beyond(policy: Policy) -> dict[str, Any]:
    """What LiteLLM's file can say of its router and ours cannot, by the names it has there."""
    chosen = policy.settings
    return {
        "retry_after": chosen.retry.least or None,
        "model_group_retry_policy": {group: retry.by_kind for group, retry in chosen.group_retry.items()},
        "hidden": sorted(policy.models.hidden),
    }


def _ours(entry: ModelEntry, place: int) -> Deployed:
    headers = {name.lower(): value for name, value in entry.headers.items()}
    said = {name: getattr(entry, name) for name in ("name", "model", "api_key", "api_base", "id")}
    label = entry_id(entry, place, entry.name)
    return Deployed(label=label, id=entry.id, said=said | {"headers": headers} | _terms(entry.terms()))


def _litellm(entry: Mapping[str, Any], place: int) -> Deployed:
    name = entry["model_name"]
    own = entry["model_info"]["id"] if has_own_id(entry) else None
    params, terms = read_entry(entry)
    provider, model = params.pop("custom_llm_provider", None), params.pop("model")
    base, other_base = params.pop("api_base", None), params.pop("base_url", None)
    said = {
        "name": name,
        "id": own,
        "model": f"{provider}/{model}" if provider and not model.startswith(f"{provider}/") else model,
        "api_base": base or other_base,
        "headers": _headers(params),
    }
    return Deployed(label=own or f"{name}#{place}", id=own, said=params | said | _terms(terms))


def _headers(params: dict[str, Any]) -> dict[str, Any]:
    """Takes them out of the parameters."""
    both = {**(params.pop("headers", None) or {}), **(params.pop("extra_headers", None) or {})}
    organization = params.pop("organization", None)
    found = {str(name).lower(): value for name, value in both.items()}
    return found | ({"openai-organization": organization} if organization else {})


_AS_THEY_ARE = "weight order rpm tpm max_parallel region cooldown timeout stream_timeout retries defaults".split()
_TOLD_APART = frozenset(
    {"base_model", "supports_assistant_prefill", "blocked", "input_cost_per_token", "output_cost_per_token"}
)


def _terms(terms: Terms) -> dict[str, Any]:
    """In the words of `models.ModelEntry`; prices in dollars per million tokens."""
    return {name: getattr(terms, name) for name in _AS_THEY_ARE} | {
        "tags": sorted(terms.tags),
        "blocked": terms.blocked or None,
        "input_price": _dollars(terms.input_rate),
        "output_price": _dollars(terms.output_rate),
        "base_model": terms.info.get("base_model"),
        "prefill": terms.info.get("supports_assistant_prefill"),
        "info": {name: value for name, value in terms.info.items() if name not in _TOLD_APART},
    }


def _dollars(rate: int | None) -> float | None:
    return None if rate is None else rate / NANO_DOLLARS
