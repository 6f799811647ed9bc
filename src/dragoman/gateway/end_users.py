"""The `governance.end_users` of a configuration -> the scope that end users without a record of their own are under.

    governance: {end_users: {max_budget: 1, budget_duration: 1d, rpm_limit: 10}}

The fields are those of POST /customer/new that confine somebody, read by the same code. Called by `gateway.config`.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import asdict

from dragoman.core.errors import BadRequestError
from dragoman.gateway.admin.shapes import Asked, Count, Dollars, Name, WindowBudget, WindowLimit, changed
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.yaml_config import Document, convert

AT = "governance.end_users"


class EndUsersEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """USD, and counts a minute or (`tpd_limit`) a day. `budget_id`: the template that POST /budget/new makes."""

    budget_id: Name | None = None
    max_budget: Dollars | None = None
    soft_budget: Dollars | None = None
    budget_duration: str | None = None
    budget_limits: list[WindowBudget] | None = None
    model_max_budget: dict[Name, WindowBudget] | None = None
    rpm_limit: Count | None = None
    tpm_limit: Count | None = None
    tpd_limit: Count | None = None
    max_parallel_requests: Count | None = None
    model_rpm_limit: dict[Name, Count] | None = None
    model_tpm_limit: dict[Name, Count] | None = None
    limits: list[WindowLimit] | None = None
    models: list[Name] | None = None


def read(document: Document, value: object) -> Scope:
    """Raises ConfigurationError that names file, line and key."""
    given = {
        name: said for name, said in asdict(convert(document, EndUsersEntry, value=value, at=AT)).items() if said is not None
    }
    template = given.pop("budget_id", "")
    try:
        return changed(Scope(kind="end_user", id="", template=template), Asked(**given), 0.0)
    except BadRequestError as problem:
        field, _, message = problem.message.partition(": ")
        raise document.error(f"{AT}.{field}", message) from None
