"""What a configuration says of end users without a record, in the admin API's words; in LiteLLM's files too."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest

from dragoman.core.errors import ConfigurationError
from dragoman.gateway.config import read
from dragoman.gateway.governance.budgets import NANO, Budget
from dragoman.gateway.governance.limits import Limit
from support.keyed_gateway import KeyedGateway, keyed_gateway

OURS = """
models: [{name: m, model: openai/gpt-4o-mini, api_key: k}]
server: {api_key: sk-master-of-this-test}
"""
LITELLM = """
model_list: [{model_name: m, litellm_params: {model: openai/gpt-4o-mini, api_key: k}}]
general_settings: {master_key: sk-master-of-this-test}
"""


def said(text: str) -> Any:
    config, _ = read(text, file="x.yaml", env={})
    assert config.governance is not None
    return config.governance.end_users


@pytest.mark.parametrize(
    "written, budgets, limits",
    [
        ("{max_budget: 1, budget_duration: 1d}", (Budget(nano=NANO, span="1d"),), ()),
        ("{max_budget: 2, soft_budget: 1}", (Budget(nano=2 * NANO, thresholds=(50, 100)),), ()),
        ("{budget_limits: [{budget_limit: 1, time_period: 7d}]}", (Budget(nano=NANO, span="7d"),), ()),
        ("{model_max_budget: {m: {max_budget: 1}}}", (Budget(nano=NANO, model="m"),), ()),
        ("{rpm_limit: 3, tpm_limit: 9}", (), (Limit(kind="requests", amount=3), Limit(kind="tokens", amount=9))),
        ("{limits: [{kind: requests, amount: 5, time_period: 1h}]}", (), (Limit(kind="requests", amount=5, span="1h"),)),
        ("{budget_id: small}", (), ()),
    ],
)
def test_the_fields_are_those_of_the_admin_api(written: str, budgets: Any, limits: Any) -> None:
    found = said(f"{OURS}governance: {{end_users: {written}}}")
    assert (found.kind, found.budgets, found.limits) == ("end_user", budgets, limits)
    assert found.template == ("small" if "budget_id" in written else "")


def test_litellms_names_for_it() -> None:
    found = said(
        f"{LITELLM}governance: {{end_users: {{rpm_limit: 3}}}}\n"
        "litellm_settings: {max_end_user_budget: 0.5, max_end_user_budget_id: small}"
    )
    assert (found.budgets, found.template) == ((Budget(nano=NANO // 2),), "small")
    assert found.limits == (Limit(kind="requests", amount=3),)
    assert said(f"{LITELLM}governance: {{}}") is None


def test_litellms_names_without_governance_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "dragoman.gateway"):
        config, _ = read(f"{LITELLM}litellm_settings: {{max_end_user_budget: 0.5}}", file="x.yaml", env={})
    assert config.governance is None
    assert caplog.messages == [
        "x.yaml: litellm_settings.max_end_user_budget is not obeyed: it needs a `governance` in this file"
    ]


@pytest.mark.parametrize(
    "text, problem",
    [
        (f"{OURS}governance: {{end_users: {{max_budgett: 1}}}}", r"x\.yaml:4: .*\.end_users\.max_budgett: .*did you mean"),
        (f"{OURS}governance: {{end_users: {{max_budget: -1}}}}", r"x\.yaml:4: governance\.end_users\.max_budget: "),
        (f"{OURS}governance: {{end_users: {{budget_duration: 1d}}}}", r"governance\.end_users\.max_budget: .*need one beside"),
        (f"{OURS}governance: {{end_users: {{max_budget: 1, budget_duration: soon}}}}", r"budget_duration: 'soon' is no"),
        (f"{OURS}governance: {{end_users: [1]}}", r"x\.yaml:4: governance\.end_users: "),
        (f"{LITELLM}governance: {{end_users: [1]}}", r"x\.yaml:4: governance\.end_users: "),
        (f"{LITELLM}governance: {{}}\nlitellm_settings: {{max_end_user_budget: lots}}", r"max_end_user_budget: expected a"),
        (f"{LITELLM}governance: {{}}\nlitellm_settings: {{max_end_user_budget_id: 3}}", r"max_end_user_budget_id: expected t"),
        (LITELLM.replace("master_key: sk-master-of-this-test", "") + "governance: {}", r"needs general_settings\.master_key"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        read(text, file="x.yaml", env={})


# ------------------------------------------------------------------------------------------------------- served for real
@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedGateway]:
    end_users = "  end_users: {budget_id: small, rpm_limit: 100}\n"
    models = "  - {name: dear, model: openai/echo, AT, input_price: 100000, output_price: 100000}"
    with keyed_gateway(tmp_path_factory.mktemp("end-users"), models, end_users) as served:
        yield served


def test_each_of_them_has_a_budget_of_its_own(keyed: KeyedGateway) -> None:
    key = keyed.issue()
    before = keyed.chat(key, "dear", user="ann")
    assert before.headers["x-ratelimit-limit-requests"] == "100"
    keyed.made("/budget/new", budget_id="small", max_budget=0.5)
    keyed.made("/customer/new", user_id="vip", max_budget=1000)
    told = [(user, keyed.chat(key, "dear", user=user).status) for user in ("bob", "bob", "carl", "vip", "vip")]
    assert told == [("bob", 200), ("bob", 402), ("carl", 200), ("vip", 200), ("vip", 200)]
    assert b"end_user bob" in keyed.chat(key, "dear", user="bob").body
