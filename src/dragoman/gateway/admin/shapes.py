"""What the admin API is asked, in LiteLLM's field names, and how that changes a scope. Pure: JSON in, a scope out.

A field that is not known, or that we do not support, is an error that names it: nothing is taken and then left out. A field
that is null is cleared; one that is absent stays as it is. Money is USD in JSON and nano-dollars in a scope.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from dragoman.core.errors import BadRequestError, ErrorDetail
from dragoman.gateway.governance import windows
from dragoman.gateway.governance.budgets import NANO, Budget, Increase
from dragoman.gateway.governance.limits import Limit
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.governance.thrift import CheaperModels

Dollars = Annotated[float, Meta(ge=0, le=1e9)]
Count = Annotated[int, Meta(ge=0, le=10**15)]
Name = Annotated[str, Meta(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
"""Short enough for the keys of every database, and without control characters."""
Names = list[Name]
Kind = TypeVar("Kind")


class WindowBudget(Struct, kw_only=True, forbid_unknown_fields=True):
    """One of several budgets: `budget_limit` (or `max_budget`) USD in each `time_period` (or `budget_duration`). `alert_at`:
    the shares of it, in hundredths, at which somebody is told.
    """

    budget_limit: Dollars | None = None
    max_budget: Dollars | None = None
    time_period: str | None = None
    budget_duration: str | None = None
    alert_at: list[Annotated[float, Meta(gt=0, le=10)]] | None = None
    reset_at: str | None = None

    def budget(self, field: str, *, model: str = "", tag: str = "") -> Budget:
        amount = self.budget_limit if self.budget_limit is not None else self.max_budget
        if amount is None:
            raise _bad(field, "expected budget_limit, an amount in USD")
        made = Budget(
            nano=nano(amount), span=windows.span(self.time_period or self.budget_duration, field), model=model, tag=tag
        )
        if self.alert_at is None:
            return made
        return msgspec.structs.replace(made, thresholds=tuple(max(1, round(share * 100)) for share in self.alert_at))


class WindowLimit(Struct, kw_only=True, forbid_unknown_fields=True):
    """One of several limits: `amount` of a `kind` in each `time_period`; "parallel", calls at once, has none."""

    kind: Literal["requests", "tokens", "input_tokens", "output_tokens", "parallel"]
    amount: Count
    time_period: str = "1m"
    model: Name = ""

    def limit(self, field: str) -> Limit:
        span = "" if self.kind == "parallel" else windows.span(self.time_period, field)
        if self.kind != "parallel" and not span:
            raise _bad(field, "time_period: expected a span of time, such as 1m, 1h or 1d")
        return Limit(kind=self.kind, amount=self.amount, span=span, model=self.model)


class Asked(Struct, kw_only=True, forbid_unknown_fields=True):
    """The fields that any scope may be given; which kinds take which is not told apart."""

    key: str | UnsetType | None = UNSET
    key_alias: Name | UnsetType | None = UNSET
    user_alias: Name | UnsetType | None = UNSET
    team_alias: Name | UnsetType | None = UNSET
    organization_alias: Name | UnsetType | None = UNSET
    alias: Name | UnsetType | None = UNSET
    user_email: Name | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    key_type: str | UnsetType | None = UNSET
    user_role: str | UnsetType | None = UNSET
    role: str | UnsetType | None = UNSET
    user_id: Name | UnsetType | None = UNSET
    team_id: Name | UnsetType | None = UNSET
    organization_id: Name | UnsetType | None = UNSET
    budget_id: Name | UnsetType | None = UNSET
    name: Name | UnsetType | None = UNSET
    duration: str | UnsetType | None = UNSET
    models: Names | UnsetType | None = UNSET
    allowed_operations: Names | UnsetType | None = UNSET
    allowed_routes: Names | UnsetType | None = UNSET
    tags: Names | UnsetType | None = UNSET
    metadata: dict[str, Any] | UnsetType | None = UNSET
    blocked: bool | UnsetType | None = UNSET
    max_budget: Dollars | UnsetType | None = UNSET
    soft_budget: Dollars | UnsetType | None = UNSET
    budget_duration: str | UnsetType | None = UNSET
    budget_limits: list[WindowBudget] | UnsetType | None = UNSET
    model_max_budget: dict[Name, WindowBudget] | UnsetType | None = UNSET
    tag_max_budget: dict[Name, WindowBudget] | UnsetType | None = UNSET
    cheaper_models: CheaperModels | UnsetType | None = UNSET
    aliases: dict[Name, Name] | UnsetType | None = UNSET
    model_aliases: dict[Name, Name] | UnsetType | None = UNSET
    temp_budget_increase: Dollars | UnsetType | None = UNSET
    temp_budget_expiry: str | UnsetType | None = UNSET
    limits: list[WindowLimit] | UnsetType | None = UNSET
    rpm_limit: Count | UnsetType | None = UNSET
    tpm_limit: Count | UnsetType | None = UNSET
    tpd_limit: Count | UnsetType | None = UNSET
    max_parallel_requests: Count | UnsetType | None = UNSET
    model_rpm_limit: dict[Name, Count] | UnsetType | None = UNSET
    model_tpm_limit: dict[Name, Count] | UnsetType | None = UNSET
    grace_period: str | UnsetType | None = UNSET
    auto_create_key: bool | UnsetType = UNSET


UNSUPPORTED = frozenset(
    """
    config permissions guardrails policies prompts object_permission router_settings allowed_cache_controls
    enforced_params
    allowed_passthrough_routes access_group_ids auto_rotate rotation_interval budget_fallbacks throttle_on_budget_exceeded
    send_invite_email project_id agent_id rpm_limit_type tpm_limit_type tag_rpm_limit mcp_rpm_limit spend
    """.split()
)
"""LiteLLM's fields that would confine or change something, and that we do not have."""

ROLES = {
    "proxy_admin": "admin",
    "proxy_admin_viewer": "viewer",
    "org_admin": "manager",
    "internal_user": "member",
    "internal_user_viewer": "reader",
    "admin": "manager",
    "user": "member",
}
"""LiteLLM's roles of users (`proxy_...`, `org_admin`, `internal_...`) and of members of teams (`admin`, `user`) -> ours."""

RIGHTS = {
    "default": ("inference", "read"),
    "llm_api": ("inference",),
    "management": ("read", "manage"),
    "read_only": ("read",),
    "everything": ("inference", "read", "manage"),
}
"""LiteLLM's key types (and one of ours) -> what a key is for."""


def read(body: bytes) -> Asked:
    """Raises BadRequestError that names the field."""
    for name in decoded(body, dict[str, msgspec.Raw]):
        _check_name(name)
    return decoded(body, Asked)


def decoded(body: bytes, kind: type[Kind]) -> Kind:
    """The body as this. Raises BadRequestError that names the field."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        message, _, where = str(problem).partition(" - at `$")
        raise _bad(where.strip("`.") or "the body", message) from None


def _check_name(name: str) -> None:
    if name in UNSUPPORTED:
        raise _bad(name, "this is not supported here, so the key would not do what you expect; leave it out")
    if name not in Asked.__struct_fields__:
        close = get_close_matches(name, Asked.__struct_fields__, n=1)
        raise _bad(name, f"there is no such field{f'; did you mean {close[0]}?' if close else ''}")


def given(value: Any) -> Any:
    """A field's value; None when absent."""
    return None if value is UNSET else value


def changed(scope: Scope, asked: Asked, now: float) -> Scope:
    """The scope with what was asked. Raises BadRequestError. Ids and parents are not its business, nor whether one may."""
    fields: dict[str, Any] = {"updated": now}
    for name, (target, make) in _SIMPLE.items():
        value = getattr(asked, name)
        if value is not UNSET:
            fields[target] = make(value)
    if asked.duration is not UNSET:
        fields["expires"] = now + windows.seconds(asked.duration) if asked.duration and asked.duration != "-1" else None
    fields["budgets"] = _budgets(scope.budgets, asked, now)
    fields["limits"] = _limits(scope.limits, asked)
    fields["metadata"] = _metadata(fields.get("metadata", scope.metadata), asked)
    return msgspec.structs.replace(scope, **fields)


def role(value: str | None) -> str:
    """One of ours, for LiteLLM's name or our own."""
    found = ROLES.get(value or "", value or "")
    if found and found not in {*ROLES.values()}:
        raise _bad("user_role", f"{value!r} is none of {', '.join(ROLES)}")
    return found


def _rights(value: str | None) -> tuple[str, ...]:
    found = RIGHTS.get(value or "default")
    if found is None:
        raise _bad("key_type", f"{value!r} is none of {', '.join(RIGHTS)}")
    return found


def _listed(value: list[str] | None) -> tuple[str, ...]:
    return tuple(value or ())


def _text(value: str | None) -> str:
    return value or ""


_SIMPLE: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "key_alias": ("alias", _text),
    "user_alias": ("alias", _text),
    "team_alias": ("alias", _text),
    "organization_alias": ("alias", _text),
    "alias": ("alias", _text),
    "models": ("models", _listed),
    "allowed_operations": ("operations", _listed),
    "allowed_routes": ("routes", _listed),
    "tags": ("tags", _listed),
    "metadata": ("metadata", lambda value: value or {}),
    "blocked": ("blocked", bool),
    "user_role": ("role", role),
    "role": ("role", role),
    "key_type": ("rights", _rights),
    "cheaper_models": ("thrift", lambda value: value.thrift() if value else None),
    "aliases": ("aliases", lambda value: value or {}),
    "model_aliases": ("aliases", lambda value: value or {}),
}


def _metadata(held: dict[str, Any], asked: Asked) -> dict[str, Any]:
    """What people note beside it: an address, a description."""
    notes = {name: value for name in ("user_email", "description") if (value := getattr(asked, name)) is not UNSET}
    return {name: value for name, value in {**held, **notes}.items() if value is not None} if notes else held


def _budgets(held: tuple[Budget, ...], asked: Asked, now: float) -> tuple[Budget, ...]:
    groups = {
        "own": [budget for budget in held if not budget.model and not budget.tag],
        "model": [budget for budget in held if budget.model],
        "tag": [budget for budget in held if budget.tag],
    }
    if asked.budget_limits is not UNSET:
        groups["own"] = [each.budget(f"budget_limits[{i}]") for i, each in enumerate(asked.budget_limits or ())]
    if (asked.max_budget, asked.budget_duration, asked.soft_budget) != (UNSET, UNSET, UNSET):
        groups["own"] = _main(groups["own"], asked)
    if asked.model_max_budget is not UNSET:
        models = asked.model_max_budget or {}
        groups["model"] = [each.budget(f"model_max_budget.{name}", model=name) for name, each in models.items()]
    if asked.tag_max_budget is not UNSET:
        tags = asked.tag_max_budget or {}
        groups["tag"] = [each.budget(f"tag_max_budget.{name}", tag=name) for name, each in tags.items()]
    if asked.temp_budget_increase is not UNSET:
        groups["own"] = [_increased(budget, asked, now) for budget in groups["own"]]
    return tuple(budget for group in groups.values() for budget in group)


def _main(own: list[Budget], asked: Asked) -> list[Budget]:
    """The one budget that `max_budget`, `budget_duration` and `soft_budget` speak of."""
    if len(own) > 1:
        raise _bad("max_budget", "there are several budgets here: give all of them in budget_limits")
    old = own[0] if own else None
    held = old.nano / NANO if old else None
    amount = held if asked.max_budget is UNSET else asked.max_budget
    if amount is None:
        if given(asked.soft_budget) is not None or given(asked.budget_duration) is not None:
            raise _bad("max_budget", "soft_budget and budget_duration need one beside them")
        return []
    span = windows.span(asked.budget_duration) if asked.budget_duration is not UNSET else old.span if old else ""
    made = Budget(nano=nano(amount), span=span, increases=old.increases if old else ())
    soft = given(asked.soft_budget)
    if soft is not None:
        made = msgspec.structs.replace(made, thresholds=(max(1, min(100, round(soft / amount * 100))) if amount else 100, 100))
    elif old and asked.soft_budget is UNSET:
        made = msgspec.structs.replace(made, thresholds=old.thresholds)
    return [made]


def _increased(budget: Budget, asked: Asked, now: float) -> Budget:
    """With a temporary increase; null takes the increases away."""
    amount = given(asked.temp_budget_increase)
    if amount is None:
        return msgspec.structs.replace(budget, increases=())
    until = _until(given(asked.temp_budget_expiry), now)
    running = tuple(increase for increase in budget.increases if increase.until > now)
    return msgspec.structs.replace(budget, increases=(*running, Increase(nano(amount), until)))


def _until(text: str | None, now: float) -> float:
    """A time in ISO 8601, or a span from now."""
    if not text:
        raise _bad(
            "temp_budget_expiry", "temp_budget_increase needs it: a time such as 2026-12-01T00:00:00Z, or a span such as 7d"
        )
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return now + windows.seconds(text, "temp_budget_expiry")
    if found.tzinfo is None:
        raise _bad("temp_budget_expiry", "say in which time zone, as in 2026-12-01T00:00:00Z")
    return found.timestamp()


_LIMITS = {
    "rpm_limit": ("requests", "1m"),
    "tpm_limit": ("tokens", "1m"),
    "tpd_limit": ("tokens", "1d"),
    "max_parallel_requests": ("parallel", ""),
}
_MODEL_LIMITS = {"model_rpm_limit": ("requests", "1m"), "model_tpm_limit": ("tokens", "1m")}


def _limits(held: tuple[Limit, ...], asked: Asked) -> tuple[Limit, ...]:
    kept = list(held)
    if asked.limits is not UNSET:
        kept = [each.limit(f"limits[{i}]") for i, each in enumerate(asked.limits or ())]
    for name, place in _LIMITS.items():
        amount = getattr(asked, name)
        if amount is not UNSET:
            kept = [limit for limit in kept if (limit.kind, limit.span) != place or limit.model]
            kept += [] if amount is None else [Limit(kind=place[0], span=place[1], amount=amount)]
    for name, place in _MODEL_LIMITS.items():
        amounts = getattr(asked, name)
        if amounts is not UNSET:
            kept = [limit for limit in kept if (limit.kind, limit.span) != place or not limit.model]
            kept += [Limit(kind=place[0], span=place[1], amount=amount, model=m) for m, amount in (amounts or {}).items()]
    return tuple(kept)


def nano(dollars: float) -> int:
    return int((Decimal(repr(dollars)) * NANO).to_integral_value())


def detail(asked: Asked) -> str:
    """What the audit log keeps of it: no key, and no metadata, which may hold anything."""
    fields = msgspec.to_builtins(asked)
    return msgspec.json.encode({name: value for name, value in fields.items() if name not in ("key", "metadata")}).decode()


def _bad(field: str, message: str) -> BadRequestError:
    return BadRequestError(f"{field}: {message}", detail=ErrorDetail(message=message, param=field), attempts=0)
