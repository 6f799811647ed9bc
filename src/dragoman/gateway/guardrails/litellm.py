"""LiteLLM's `guardrails` list in our own entries. What has no counterpart here is an error, never left out.

    guardrails:
      - guardrail_name: hide
        litellm_params: {guardrail: hide-secrets, mode: pre_call, default_on: true}

`presidio` is Presidio's service where its address is given, and else our patterns of personal data, for the entities that have
one. Its anonymizer is not asked: what was found is masked here. Called by `litellm_config`.
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
_KNOWN = frozenset({"guardrail", "mode", "default_on"})
_ANALYZER = "presidio_analyzer_api_base"
_OF_PRESIDIO = frozenset({_ANALYZER, "presidio_anonymizer_api_base", "presidio_language", "pii_entities_config"})


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
    known = {"presidio": _OF_PRESIDIO, "hide-secrets": frozenset[str]()}.get(kind if isinstance(kind, str) else "")
    for name in options.keys() - known if known is not None else ():
        raise document.error(f"{at}.litellm_params.{name}", f"this is not served of {kind}")
    if kind == "presidio":
        return _presidio(document, params, common, at)
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


def _presidio(document: Document, params: Mapping[str, Any], common: dict[str, Any], at: str) -> list[dict[str, Any]]:
    """One entry that masks, and one that blocks, as far as the entities ask for it."""
    place = f"{at}.litellm_params.pii_entities_config"
    entities, url = params.get("pii_entities_config") or {}, params.get(_ANALYZER)
    if not isinstance(entities, Mapping):
        raise document.error(place, "expected entities, each with MASK or BLOCK")
    kinds: dict[str, list[str]] = {"mask": [], "block": []}
    for name, action in entities.items():
        if (url is None and name not in _ENTITIES) or str(action).lower() not in kinds:
            raise document.error(
                f"{place}.{name}",
                f"expected MASK or BLOCK for one of {', '.join(_ENTITIES)}; for others give {_ANALYZER}",
            )
        kinds[str(action).lower()].append(name if url is not None else _ENTITIES[name])
    if not entities and url is not None:
        return [_served(common, params, "mask", [])]
    if not entities:
        kinds["mask"] = list(_ENTITIES.values())
    both = all(kinds.values())
    names = {action: f"{common['name']}-{action}" if both else common["name"] for action in kinds}
    wanted = [({**common, "name": names[action]}, action, held) for action, held in kinds.items() if held]
    if url is not None:
        return [_served(named, params, action, held) for named, action, held in wanted]
    return [{**named, "use": "pii", "action": action, "kinds": held} for named, action, held in wanted]


def _served(common: dict[str, Any], params: Mapping[str, Any], action: str, entities: list[str]) -> dict[str, Any]:
    """An entry that asks Presidio's service."""
    language = {"language": params["presidio_language"]} if params.get("presidio_language") else {}
    return {**common, **language, "use": "presidio", "url": params[_ANALYZER], "action": action, "entities": entities}
