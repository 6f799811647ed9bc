"""LiteLLM's `guardrails` list in our own entries. What has no counterpart here is an error, never left out.

    guardrails:
      - guardrail_name: hide
        litellm_params: {guardrail: hide-secrets, mode: pre_call, default_on: true}

`presidio` becomes our patterns of personal data, for the entities that have one. Called by `litellm_config`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.gateway.guardrails.config import Entry, checked
from dragoman.gateway.yaml_config import Document

_STAGES = {"pre_call": "before", "during_call": "during", "post_call": "after"}
_ENTITIES = {
    "EMAIL_ADDRESS": "email",
    "CREDIT_CARD": "card",
    "IBAN_CODE": "iban",
    "US_SSN": "ssn",
    "PHONE_NUMBER": "phone",
    "IP_ADDRESS": "ip",
}
_KNOWN = frozenset({"guardrail", "mode", "default_on", "pii_entities_config"})


def read(document: Document, values: Any) -> tuple[Entry, ...]:
    """Raises ConfigurationError that names file, line and key."""
    if not isinstance(values, list):
        raise document.error("guardrails", "expected a list")
    found: dict[str, Entry] = {}
    for index, value in enumerate(values):
        at = f"guardrails[{index}]"
        for written in _entries(document, value, at):
            entry = checked(document, written, at)
            if found.setdefault(entry.name, entry) is not entry:
                raise document.error(at, f"{entry.name!r} is the name of an earlier one; names are unique")
    return tuple(found.values())


def _entries(document: Document, value: Any, at: str) -> list[dict[str, Any]]:
    params = value.get("litellm_params") if isinstance(value, Mapping) else None
    if not isinstance(params, Mapping) or not isinstance(value.get("guardrail_name"), str):
        raise document.error(at, "expected guardrail_name and litellm_params")
    kind = params.get("guardrail")
    common = {
        "name": value["guardrail_name"],
        "stage": _stages(document, params.get("mode", "pre_call"), at),
        "default": params.get("default_on", False),
    }
    options = {name: held for name, held in params.items() if name not in _KNOWN}
    if kind == "presidio":
        return _presidio(document, params.get("pii_entities_config") or {}, common, at)
    if kind == "hide-secrets":
        return [{**common, "use": "secrets", "action": "mask"}]
    if isinstance(kind, str) and "." in kind:
        return [{**common, "use": "python", "path": kind, "options": options}]
    raise document.error(
        f"{at}.litellm_params.guardrail",
        f"{kind!r} is not served here; there are presidio, hide-secrets and module.Class, and our own kinds in a file of ours",
    )


def _stages(document: Document, mode: Any, at: str) -> list[str]:
    modes = [mode] if isinstance(mode, str) else mode
    if not isinstance(modes, list) or not all(name in _STAGES for name in modes):
        raise document.error(f"{at}.litellm_params.mode", f"expected {', '.join(_STAGES)}, one or several, found {mode!r}")
    return [_STAGES[name] for name in modes]


def _presidio(document: Document, entities: Any, common: dict[str, Any], at: str) -> list[dict[str, Any]]:
    """One entry that masks, and one that blocks, as far as the entities ask for it."""
    place = f"{at}.litellm_params.pii_entities_config"
    if not isinstance(entities, Mapping):
        raise document.error(place, "expected entities, each with MASK or BLOCK")
    kinds: dict[str, list[str]] = {"mask": [], "block": []}
    for name, action in entities.items():
        if name not in _ENTITIES or str(action).lower() not in kinds:
            raise document.error(f"{place}.{name}", f"expected MASK or BLOCK for one of {', '.join(_ENTITIES)}")
        kinds[str(action).lower()].append(_ENTITIES[name])
    if not entities:
        kinds["mask"] = list(_ENTITIES.values())
    both = all(kinds.values())
    names = {action: f"{common['name']}-{action}" if both else common["name"] for action in kinds}
    return [
        {**common, "use": "pii", "name": names[action], "action": action, "kinds": held}
        for action, held in kinds.items()
        if held
    ]
