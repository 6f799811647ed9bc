"""Scopes, rows and sums as the admin API shows them: LiteLLM's field names, USD, times in ISO 8601. Pure, no secret."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isinf
from typing import Any

import msgspec

from dragoman.gateway.governance import windows
from dragoman.gateway.governance.budgets import NANO, Budget
from dragoman.gateway.governance.ledger import Row
from dragoman.gateway.governance.limits import Limit
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.store.base import Change, Spending

ID_FIELDS = {
    "user": "user_id",
    "team": "team_id",
    "organization": "organization_id",
    "budget": "budget_id",
    "end_user": "user_id",
    "tag": "name",
}
"""Kind -> the field that names one."""

ALIAS_FIELDS = {"key": "key_alias", "user": "user_alias", "team": "team_alias", "organization": "organization_alias"}
ROLE_NAMES = {
    "admin": "proxy_admin",
    "viewer": "proxy_admin_viewer",
    "manager": "org_admin",
    "member": "internal_user",
    "reader": "internal_user_viewer",
}


def time(seconds: float | None) -> str | None:
    if seconds is None or isinf(seconds) or not seconds:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def dollars(nano: int | None) -> float | None:
    return None if nano is None else nano / NANO


def scope(value: Scope, spent: int, now: float) -> dict[str, Any]:
    """Any scope but a member."""
    own = [budget for budget in value.budgets if not budget.model and not budget.tag]
    main = own[0] if own else None
    named = {ID_FIELDS[value.kind]: value.id} if value.kind in ID_FIELDS else {"token_id": value.id, "key_name": value.hint}
    above = {"user_id": value.user or None, "team_id": value.team or None, "organization_id": value.organization or None}
    return {
        **above,
        **named,
        ALIAS_FIELDS.get(value.kind, "alias"): value.alias or None,
        **({"user_role": ROLE_NAMES.get(value.role)} if value.kind in ("user", "key") else {}),
        **({"rights": value.rights} if value.kind == "key" else {}),
        "models": value.models,
        "allowed_operations": value.operations,
        "allowed_routes": value.routes,
        "tags": value.tags,
        "metadata": value.metadata,
        "blocked": value.blocked,
        "expires": time(value.expires),
        "spend": dollars(spent),
        "max_budget": dollars(main.nano) if main else None,
        "budget_duration": (main.span or None) if main else None,
        "budget_reset_at": time(windows.window(main.span, now).ends) if main else None,
        "budget_limits": [_budget(budget, now) for budget in own],
        "model_max_budget": {budget.model: _budget(budget, now) for budget in value.budgets if budget.model},
        "tag_max_budget": {budget.tag: _budget(budget, now) for budget in value.budgets if budget.tag},
        "cheaper_models": {"models": value.thrift.models, "at": value.thrift.percent / 100} if value.thrift else None,
        "model_aliases" if value.kind == "team" else "aliases": value.aliases,
        "limits": [_limit(limit) for limit in value.limits],
        **_limits(value),
        "created_at": time(value.created),
        "updated_at": time(value.updated),
        "created_by": value.created_by or None,
    }


def _budget(budget: Budget, now: float) -> dict[str, Any]:
    return {
        "budget_limit": dollars(budget.nano),
        "effective_limit": dollars(budget.limit(now)),
        "time_period": budget.span or None,
        "alert_at": [percent / 100 for percent in budget.thresholds],
        "reset_at": time(windows.window(budget.span, now).ends),
    }


def _limit(limit: Limit) -> dict[str, Any]:
    return {"kind": limit.kind, "amount": limit.amount, "time_period": limit.span or None, "model": limit.model or None}


def _limits(value: Scope) -> dict[str, Any]:
    named = {
        ("requests", "1m"): "rpm_limit",
        ("tokens", "1m"): "tpm_limit",
        ("tokens", "1d"): "tpd_limit",
        ("parallel", ""): "max_parallel_requests",
    }
    found: dict[str, Any] = dict.fromkeys(named.values())
    for name in ("model_rpm_limit", "model_tpm_limit"):
        found[name] = {}
    for limit in value.limits:
        field = named.get((limit.kind, limit.span))
        if field and limit.model:
            found[f"model_{field}"][limit.model] = limit.amount
        elif field:
            found[field] = limit.amount
    return found


def member(value: Scope) -> dict[str, Any]:
    return {"user_id": value.user, "team_id": value.team, "role": "admin" if value.role == "manager" else "user"}


def row(value: Row) -> dict[str, Any]:
    """A line of /spend/logs."""
    usage = value.usage
    return {
        "request_id": value.request_id or value.id,
        "ledger_id": value.id,
        "call_type": value.operation,
        "api_key": value.key,
        "spend": dollars(value.charged),
        "cost": dollars(value.cost),
        "estimated": value.estimated,
        "cost_lines": [{"kind": kind, "quantity": quantity, "rate": rate} for kind, quantity, rate in value.cost_lines],
        "cost_notes": value.cost_notes,
        "total_tokens": usage.total_tokens if usage else 0,
        "prompt_tokens": usage.input_tokens if usage else 0,
        "completion_tokens": usage.output_tokens if usage else 0,
        "usage": None if usage is None else msgspec.to_builtins(usage),
        "startTime": time(value.began),
        "endTime": time(value.ended),
        "model": value.upstream_model or value.model,
        "model_group": value.model,
        "asked_model": value.asked or value.model,
        "model_id": value.deployment,
        "custom_llm_provider": value.provider,
        "user": value.user,
        "team_id": value.team,
        "organization_id": value.organization,
        "end_user": value.end_user,
        "session_id": value.session,
        "request_tags": value.tags,
        "requester_ip_address": value.client,
        "status": "success" if value.outcome == "success" else "failure",
        "outcome": value.outcome,
        "status_code": value.status,
        "error": value.error or None,
        "stream": value.stream,
        "attempts": [msgspec.to_builtins(attempt) for attempt in value.tries],
    }


def spending(value: Spending, by: str) -> dict[str, Any]:
    return {
        by: value.group,
        "spend": dollars(value.nano),
        "requests": value.calls,
        "failed_requests": value.failed,
        "prompt_tokens": value.input_tokens,
        "completion_tokens": value.output_tokens,
        "total_tokens": value.input_tokens + value.output_tokens,
    }


def change(value: Change) -> dict[str, Any]:
    fields = msgspec.structs.asdict(value)
    return {**fields, "at": time(value.at), "detail": msgspec.json.decode(value.detail) if value.detail else None}
