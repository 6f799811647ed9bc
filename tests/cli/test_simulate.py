"""`dragoman simulate`: tables and JSON of made-up troubles and of a log, the same figures each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dragoman.cli.app import app
from dragoman.router.balance import STRATEGIES
from dragoman.router.scenarios import SCENARIOS
from dragoman.router.simulate import run

QUICK = ("--seeds", "1", "--seconds", "60", "--rate", "2")


def simulate(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *arguments])


def rows(*arguments: str) -> list[dict[str, Any]]:
    said = simulate(*arguments, *QUICK, "--json")
    assert said.exit_code == 0, said.output
    return [json.loads(line) for line in said.output.splitlines()]


def test_strategies_stand_beside_each_other() -> None:
    said = simulate("-s", "outage", "--strategy", "uptime-latency", "--strategy", "least-busy", *QUICK)
    lines = said.output.splitlines()
    assert lines[0].split() == [
        "scenario",
        "policy",
        "served",
        "calls/request",
        "p50",
        "s",
        "p95",
        "s",
        "p99",
        "s",
        "cost",
        "$",
    ]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["outage", name, "100.00%"] for name in ("uptime-latency", "least-busy")
    ]
    assert len({len(line) for line in lines[1:]}) == 1, "columns are aligned"


def test_the_same_seed_gives_the_same_figures() -> None:
    assert rows("-s", "flapping") == rows("-s", "flapping")


def test_all_strategies_and_troubles_unless_some_are_named() -> None:
    seen = rows("-s", "calm", "-s", "cost-shock")
    assert {row["scenario"] for row in seen} == {"calm", "cost-shock"}
    assert {row["policy"] for row in seen} == set(STRATEGIES) - {"usage-based-routing"}
    assert all(row["cost"] > 0 for row in seen if row["scenario"] == "cost-shock")
    assert {row["scenario"] for row in rows("--strategy", "least-busy")} == set(SCENARIOS) - {"thousand"}


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_trouble_troubles_or_is_called_calm(name: str) -> None:
    scenario = SCENARIOS[name]
    report = run(scenario.places, scenario.requests(5.0, 120.0, 1), seed=1)
    assert report.requests > 0
    failures = sum(call.kind != "success" for call in report.calls)
    assert bool(failures) == (name not in {"calm", "slow-poison", "cold-start"})
    assert scenario.about


def test_a_policy_is_the_router_of_a_file(tmp_path: Path) -> None:
    one, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    one.write_text("retries: 0\nrouter: {strategy: simple-shuffle, fallbacks: {fast: [large]}}\n")
    other.write_text("router: {strategy: simple-shuffle}\n")
    seen = rows("-s", "total-outage", "-p", str(one), "-p", str(other))
    assert [row["policy"] for row in seen] == [str(one), str(other)]
    assert seen[0]["amplification"] == 1.0 < seen[1]["amplification"]


def test_a_log_is_played_again(tmp_path: Path) -> None:
    calls = [
        {"at": float(at), "deployment": name, "kind": kind, "seconds": 1.0, "first_token": 0.4, "output_tokens": 30}
        for at in range(60)
        for name, kind in (("good", "success"), ("bad", "server"))
    ]
    log = tmp_path / "usage.jsonl"
    log.write_text("\n".join(map(json.dumps, calls)) + "\n\n")
    (row,) = rows("--log", str(log), "--strategy", "uptime-latency")
    assert (row["scenario"], row["requests"], row["success_rate"]) == ("usage.jsonl", 60, 1.0)
    assert row["p50"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-s", "flood"), "'flood'; there are: calm, brown-out"),
        (("--strategy", "best"), "'best'; there are: simple-shuffle"),
        (("--seeds", "0"), "--seeds"),
        (("--policy", "nowhere.yaml"), "does not exist"),
    ],
)
def test_what_is_not_there_is_named(arguments: tuple[str, ...], words: str) -> None:
    said = simulate(*arguments)
    assert said.exit_code == 2
    assert words in said.output


@pytest.mark.parametrize(("content", "words"), [("", "there are no calls in it"), ('{"at": 1}\n', ":1: ")])
def test_a_log_that_cannot_be_read_is_named(tmp_path: Path, content: str, words: str) -> None:
    log = tmp_path / "usage.jsonl"
    log.write_text(content)
    said = simulate("--log", str(log))
    assert said.exit_code == 2
    assert words in said.output.replace("\n", "")
