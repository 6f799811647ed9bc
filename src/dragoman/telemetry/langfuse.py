"""Traces for Langfuse: the same spans, with what was said in them and the attributes that its ingest reads, by OTLP over HTTP.

LANGFUSE_PUBLIC_KEY and LANGFUSE_SECRET_KEY are the account's keys, LANGFUSE_HOST (or LANGFUSE_BASE_URL) its server. Session,
user, tags and names come from the metadata of a call, as LiteLLM's programs give them. Needs the extra `otel`.
Attributes: https://langfuse.com/integrations/native/opentelemetry#property-mapping
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from dragoman.core import json
from dragoman.core.chat import Usage
from dragoman.core.errors import ConfigurationError, DragomanError
from dragoman.engine.call import Call
from dragoman.engine.price import price
from dragoman.telemetry import attributes, content

CLOUD = "https://cloud.langfuse.com"

_METADATA = {
    "session_id": "langfuse.session.id",
    "trace_user_id": "langfuse.user.id",
    "user_id": "langfuse.user.id",
    "trace_name": "langfuse.trace.name",
    "trace_version": "langfuse.version",
    "version": "langfuse.version",
    "trace_release": "langfuse.release",
    "environment": "langfuse.environment",
}
"""Metadata of a call -> attribute of its trace."""


def place(env: Mapping[str, str]) -> dict[str, Any]:
    """Endpoint and headers of the exporter. Raises ConfigurationError, which names what is missing."""
    missing = [name for name in ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY") if not env.get(name, "").strip()]
    if missing:
        raise ConfigurationError(f"langfuse: the environment variable {' and '.join(missing)} is not set")
    host = env.get("LANGFUSE_HOST") or env.get("LANGFUSE_BASE_URL") or env.get("LANGFUSE_OTEL_HOST") or CLOUD
    pair = f"{env['LANGFUSE_PUBLIC_KEY'].strip()}:{env['LANGFUSE_SECRET_KEY'].strip()}"
    return {
        "endpoint": f"{host.rstrip('/')}/api/public/otel/v1/traces",
        "headers": {"authorization": f"Basic {b64encode(pair.encode()).decode()}"},
    }


def more(call: Call, beside: Mapping[str, Any]) -> dict[str, Any]:
    """What Langfuse reads beside the convention's attributes. `beside`: metadata that is not in the request."""
    settlement, metadata = call.settlement, {**_metadata(call), **beside}
    said, told = content.asked(call), content.answered(call)
    found: dict[str, Any] = {
        "langfuse.observation.type": "generation" if call.operation in {"chat", "responses", "completion"} else "span",
        "langfuse.observation.model.name": attributes.measured(call).get("gen_ai.response.model", call.model),
        "langfuse.observation.model.parameters": json.encode(_parameters(call)).decode(),
        "langfuse.observation.input": said,
        "langfuse.trace.input": said,
        "langfuse.observation.output": told,
        "langfuse.trace.output": told,
        "langfuse.trace.metadata": json.encode(metadata).decode() if metadata else None,
        "langfuse.trace.tags": _tags(metadata),
    }
    found |= {name: str(metadata[key]) for key, name in _METADATA.items() if metadata.get(key) is not None}
    if settlement is not None and settlement.usage is not None:
        found |= _counted(call, settlement.usage)
    if settlement is not None and settlement.error is not None:
        found |= {
            "langfuse.observation.level": "ERROR",
            "langfuse.observation.status_message": str(settlement.error),
        }
    return {name: value for name, value in found.items() if value}


def _counted(call: Call, usage: Usage) -> dict[str, str]:
    counts = {"input": usage.input_tokens, "output": usage.output_tokens, "total": usage.total_tokens}
    shares = {"input_cached_tokens": usage.cache_read_tokens, "output_reasoning_tokens": usage.reasoning_tokens}
    counts |= {name: count for name, count in shares.items() if count}
    found = {"langfuse.observation.usage_details": json.encode(counts).decode()}
    cost = price(call, usage)
    if cost is not None and cost.dollars is not None:
        found["langfuse.observation.cost_details"] = json.encode({"total": cost.dollars}).decode()
    return found


def _parameters(call: Call) -> dict[str, Any]:
    return {name.removeprefix("gen_ai.request."): value for name, value in attributes.parameters(call).items()}


def _tags(metadata: Mapping[str, Any]) -> list[str]:
    tags = metadata.get("tags")
    return [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []


def _metadata(call: Call) -> dict[str, Any]:
    """The request's metadata, with its `user` where that says no more."""
    if not call.in_json:
        return {}
    try:
        metadata, user = json.read(call.envelope, "metadata"), json.read(call.envelope, "user")
    except (DragomanError, *json.UNREADABLE):
        return {}
    found = dict(metadata) if isinstance(metadata, dict) else {}
    if isinstance(user, str) and user:
        found.setdefault("trace_user_id", user)
    return found
