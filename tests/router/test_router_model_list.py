"""LiteLLM's model_list: what it may say, what becomes of it, and that a slip in it is told with its place."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from dragoman.core.errors import ConfigurationError
from dragoman.router.model_list import ModelList, read_model_list

ENV = {"OPENAI_API_KEY": "sk-env", "MY_KEY": "sk-mine", "EMPTY": " "}


def entry(
    name: str = "fast", model: str = "openai/gpt-4o-mini", info: dict[str, Any] | None = None, **params: Any
) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, **params}, "model_info": info or {}}


def read(*entries: Any, **options: Any) -> ModelList:
    return read_model_list(entries, env=ENV, **options)


def only(*entries: Any) -> Any:
    (deployments,) = read(*entries).groups.values()
    (deployment,) = deployments
    return deployment


def test_an_entry_becomes_a_deployment() -> None:
    found = only(
        entry(
            api_key="os.environ/MY_KEY",
            rpm=60,
            tpm="1000",
            weight=2,
            order=1,
            tags=["free"],
            max_parallel_requests=5,
            cooldown_time=30,
            timeout=20,
            stream_timeout=5,
            num_retries=1,
            region_name="eu",
            input_cost_per_token=2.5e-6,
            temperature=0,
            info={"output_cost_per_token": 1e-5, "mode": "chat"},
        )
    )
    assert (found.group, found.target.model, found.target.api_key) == ("fast", "gpt-4o-mini", "sk-mine")
    terms = found.terms
    assert (terms.rpm, terms.tpm, terms.weight, terms.order, terms.max_parallel) == (60, 1000, 2.0, 1, 5)
    assert (terms.cooldown, terms.timeout, terms.stream_timeout, terms.retries, terms.region) == (30.0, 20.0, 5.0, 1, "eu")
    assert (terms.input_rate, terms.output_rate) == (2_500_000_000, 10_000_000_000)
    assert terms.tags == {"free"}
    assert terms.defaults == {"temperature": 0}
    assert terms.info["mode"] == "chat"


def test_a_key_that_is_not_given_is_the_providers_variable() -> None:
    assert only(entry()).target.api_key == "sk-env"


def test_limits_beside_the_parameters_are_tolerated() -> None:
    assert only({**entry(), "rpm": 7}).terms.rpm == 7


def test_entries_with_one_name_are_one_group_in_order() -> None:
    found = read(entry(), entry(model="openai/gpt-4o"), entry("slow")).groups
    assert {name: [one.target.model for one in group] for name, group in found.items()} == {
        "fast": ["gpt-4o-mini", "gpt-4o"],
        "slow": ["gpt-4o-mini"],
    }


def test_identical_entries_are_two_deployments_and_ids_hold_no_key() -> None:
    first, second = read(entry(api_key="sk-a"), entry(api_key="sk-a")).groups["fast"]
    assert first.id != second.id
    assert read(entry(api_key="sk-other")).groups["fast"][0].id == first.id, "an id says nothing of the key"


def test_ids_are_the_same_each_time_whatever_else_is_in_the_list() -> None:
    alone = only(entry(rpm=3)).id
    assert read(entry("other"), entry(rpm=3)).groups["fast"][0].id == alone
    assert only(entry(info={"id": "mine"})).id == "mine"


def test_organizations_are_one_deployment_each() -> None:
    group = read(entry(organization=["org-1", "org-2"])).groups["fast"]
    assert [one.target.headers for one in group] == [(("openai-organization", "org-1"),), (("openai-organization", "org-2"),)]
    assert len({one.id for one in group}) == 2


def test_a_pattern_serves_what_it_covers_and_the_closest_goes_first() -> None:
    found = read(
        entry("*", "openai/*", rpm=1), entry("openai/*", "openai/*", rpm=2), entry("openai/gpt-*-x", "openai/m-*", rpm=3)
    )

    def resolved(name: str) -> Any:
        return next((hit[0] for _, resolve in found.patterns if (hit := resolve(name))), None)

    assert (resolved("openai/gpt-4o").target.model, resolved("openai/gpt-4o").terms.rpm) == ("gpt-4o", 2)
    assert (resolved("openai/gpt-5-x").target.model, resolved("openai/gpt-5-x").terms.rpm) == ("m-5", 3)
    assert resolved("any").target.model == "any"
    assert resolved("openai/gpt-4o").group == "openai/gpt-4o"


def test_aliases_and_hidden_ones() -> None:
    found = read(entry(), aliases={"quick": "fast", "secret": {"model": "quick", "hidden": True}})
    assert found.aliases == {"quick": "fast", "secret": "quick"}
    assert found.hidden == {"secret"}


WRONG = {
    "no dict": ("fast", r"model_list\[0\]: expected a dict"),
    "unknown key": ({**entry(), "model_nmae": "x"}, r"model_list\[0\].model_nmae: unknown key; did you mean model_name\?"),
    "no name": ({"litellm_params": {"model": "openai/x"}}, r"model_list\[0\].model_name: expected the name"),
    "no model": ({"model_name": "x", "litellm_params": {}}, r"model_list\[0\].litellm_params.model: expected provider/model"),
    "no provider": (entry(model="nobody/x"), r"model_list\[0\].litellm_params: 'nobody/x': no provider is called 'nobody'"),
    "slip": (entry(api_bsae="x"), r"model_list\[0\].litellm_params.api_bsae: unknown key; did you mean api_base\?"),
    "missing": (
        entry(api_key="os.environ/NOPE"),
        r"model_list\[0\].litellm_params.api_key: the environment variable NOPE is not set",
    ),
    "empty": (entry(api_key="os.environ/EMPTY"), r"litellm_params.api_key: the environment variable EMPTY is empty"),
    "nested": (entry(extra_headers={"x": "os.environ/NOPE"}), r"litellm_params.extra_headers.x: the environment variable NOPE"),
    "number": (entry(rpm="many"), r"litellm_params.rpm: expected a number from 0 up, found 'many'"),
    "negative": (entry(weight=-1), r"litellm_params.weight: expected a number from 0 up, found -1"),
    "part": (entry(tpm=1.5), r"litellm_params.tpm: expected a whole number, found 1.5"),
    "truth": (entry(rpm=True), r"litellm_params.rpm: expected a number"),
    "not obeyed": (
        entry(max_budget=3),
        r"litellm_params.max_budget: a deployment cannot have this here: budgets are the gateway's",
    ),
    "secret of a cloud": (
        entry(aws_secret_access_key="x"),
        r"litellm_params: aws_secret_access_key: openai does not take this; pass api_key",
    ),
    "half a secret of a cloud": (
        entry(model="bedrock/m", aws_secret_access_key="x"),
        r"litellm_params: aws_access_key_id: missing; aws_access_key_id, aws_secret_access_key belong together",
    ),
    "a secret of a cloud for elsewhere": (
        entry(model="bedrock/m", aws_access_key_id="x", aws_secret_access_key="x", api_base="https://x.example"),
        r"litellm_params: aws_access_key_id: is for .* only, not for https://x.example",
    ),
    "two kinds of keys": (
        entry(model="bedrock/m", aws_access_key_id="x", aws_secret_access_key="x", api_key="x"),
        r"litellm_params: api_key: goes before aws_access_key_id, aws_secret_access_key; leave one out",
    ),
    "a secret that no header can carry": (
        entry(model="bedrock/m", aws_access_key_id="x", aws_secret_access_key="x", aws_session_token="a\nb"),
        r"litellm_params: aws_session_token: it holds a line break",
    ),
    "a role of a cloud": (
        entry(model="bedrock/m", aws_role_name="x"),
        r"litellm_params.aws_role_name: .* through the environment",
    ),
    "stars": (entry("a*b*", "openai/*"), r"model_list\[0\].model_name: 'a\*b\*': a pattern has one \*"),
    "key for anybody": (entry("*", "*", api_key="sk-x"), r"litellm_params.model: '\*' may be any provider, so its key"),
}


@pytest.mark.parametrize(("raw", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_with_index_and_key(raw: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(raw)


def test_errors_name_the_right_entry_and_no_key() -> None:
    with pytest.raises(ConfigurationError, match=r"model_list\[1\]") as caught:
        read(entry(), entry(api_key="sk-private", rpm="x"))
    assert "sk-private" not in str(caught.value)


def test_an_id_is_given_once() -> None:
    with pytest.raises(ConfigurationError, match=r"model_list\[1\].model_info.id: 'x' is the id of model_list\[0\] too"):
        read(entry(info={"id": "x"}), entry(info={"id": "x"}))


def test_bad_entries_can_be_left_out_and_are_told() -> None:
    found = read(entry(rpm="x"), entry(), skip_invalid=True)
    assert len(found.groups["fast"]) == 1
    assert found.skipped == ("model_list[0].litellm_params.rpm: expected a number from 0 up, found 'x'",)


@pytest.mark.parametrize(
    ("aliases", "message"),
    [({"a": "b", "b": "a"}, "model_group_alias.a: it leads back to itself"), ({"a": 3}, "model_group_alias.a: expected")],
)
def test_aliases_come_to_an_end(aliases: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(entry(), aliases=aliases)


def test_what_is_not_obeyed_is_told_and_kept_from_the_provider() -> None:
    found = read(entry(api_version="2024-06-01", drop_params=True, temperature=0))
    assert [text.partition(" is not obeyed")[0] for text in found.warnings] == [
        "model_list[0].litellm_params.api_version",
        "model_list[0].litellm_params.drop_params",
    ]
    ((deployment,),) = found.groups.values()
    assert deployment.terms.defaults == {"temperature": 0}


AZURE = {"model": "azure/gpt-4o", "api_base": "https://x.openai.azure.com", "api_version": "2024-06-01"}


@pytest.mark.parametrize(
    ("given", "version"),
    [
        ({}, "2024-06-01"),
        ({"api_version": date(2024, 6, 1)}, "2024-06-01"),  # what YAML makes of it
        ({"api_version": None}, "2024-10-21"),
    ],
)
def test_the_version_of_an_api_is_asked_for_where_a_request_names_one(given: dict[str, Any], version: str) -> None:
    found = read(entry(**{"api_key": "k"} | AZURE | given))
    ((deployment,),) = found.groups.values()
    assert deployment.target.provider.paths["chat"].endswith(f"/chat/completions?api-version={version}")
    assert found.warnings == ()


def test_a_version_that_no_request_names_is_told() -> None:
    (told,) = read(entry(api_key="k", **AZURE | {"api_base": "https://x.openai.azure.com/openai/v1"})).warnings
    assert told == "model_list[0].litellm_params.api_version is not obeyed: requests to this provider name none"
    with pytest.raises(ConfigurationError, match="api_version: expected a text such as '2024-10-21'"):
        read(entry(api_key="k", **AZURE | {"api_version": "1?x=y"}))


def test_a_list_reads_the_same_again_from_its_entries() -> None:
    found = read(entry(rpm=3), entry(rpm=3), entry(organization=["org-1", "org-2"]), entry("x/*", "openai/*"))
    again = read(*found.entries.values())
    assert again.entries == found.entries
    ids = [deployment.id for group in found.groups.values() for deployment in group]
    assert [deployment.id for group in again.groups.values() for deployment in group] == ids
    assert [each.terms for group in again.groups.values() for each in group] == [
        each.terms for group in found.groups.values() for each in group
    ]
    more = read(*found.entries.values(), entry(rpm=3))
    assert len(set(more.entries)) == len(found.entries) + 1
