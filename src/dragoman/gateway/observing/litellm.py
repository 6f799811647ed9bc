"""What LiteLLM's config.yaml says about observing, as ours would: callbacks by their names, json_logs, and Slack alerts. Pure.

Called by `gateway.litellm_config`. A callback that is not here is told, never ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dragoman.gateway.observing.entries import AlertsEntry, LogsEntry, TelemetryEntry
from dragoman.gateway.yaml_config import Document
from dragoman.telemetry.named import NAMES

CALLBACKS = ("callbacks", "success_callback", "failure_callback")
SETTINGS = frozenset({*CALLBACKS, "json_logs"})
"""Of litellm_settings."""
GENERAL_SETTINGS = frozenset({"alerting"})

_SLACK = "SLACK_WEBHOOK_URL"
_ALWAYS = frozenset({"prometheus"})
"""Callbacks for what is there without them."""


def from_litellm(
    document: Document, litellm: Mapping[str, Any], general: Mapping[str, Any], env: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Fields of `Config`, and what is not obeyed. Raises ConfigurationError."""
    found: dict[str, Any] = {}
    named: set[str] = set()
    told: list[str] = []
    for setting in CALLBACKS:
        for name in _names(document, f"litellm_settings.{setting}", litellm.get(setting)):
            if name in NAMES:
                named.add(name)
            elif name not in _ALWAYS:
                told.append(f"litellm_settings.{setting}: {name} is not obeyed: there are prometheus, {', '.join(NAMES)}")
    if named:
        otel = bool(named & {"otel", "opentelemetry"})
        found["telemetry"] = TelemetryEntry(otel=otel, langfuse=bool(named & {"langfuse", "langfuse_otel"}))
    if litellm.get("json_logs"):
        found["logs"] = LogsEntry(format="json", requests=True)
    for name in _names(document, "general_settings.alerting", general.get("alerting")):
        if name != "slack":
            told.append(f"general_settings.alerting: {name} is not obeyed: there is slack")
        elif not env.get(_SLACK, "").strip():
            raise document.error("general_settings.alerting", f"slack needs the environment variable {_SLACK}")
        else:
            found["alerts"] = AlertsEntry(slack=env[_SLACK].strip())
    return found, tuple(told)


def _names(document: Document, path: str, value: Any) -> list[str]:
    """One name or several."""
    names = [value] if isinstance(value, str) else value or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise document.error(path, "expected a list of names")
    return names
