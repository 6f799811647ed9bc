"""Alerts: what is worth one, that they come together and not too often, and that they go to the configured address alone."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dragoman.core.errors import ConfigurationError
from dragoman.core.http import HttpRequest, HttpResponse, TransportFailure
from dragoman.gateway.config import read
from dragoman.gateway.governance.budgets import Alert, CounterKey
from dragoman.gateway.observing.alerts import Alerts
from dragoman.gateway.observing.entries import AlertsEntry
from dragoman.gateway.observing.requests import Ended

CONFIG = """
models:
  - {name: fast, id: fast-1, model: openai/gpt-4o-mini, api_key: sk-a}
  - {name: fast, id: fast-2, model: openai/gpt-4o, api_key: sk-b}
"""
WEBHOOK, SLACK = "https://hooks.test/dragoman", "https://hooks.slack.test/services/T/B/secret"


class Sent:
    """A transport that keeps what it is given; `outcomes` are what it answers, 200 when there are no more."""

    def __init__(self, *outcomes: Any) -> None:
        self.requests: list[HttpRequest] = []
        self._outcomes = list(outcomes)

    async def send(self, request: HttpRequest, timeouts: Any) -> HttpResponse:
        self.requests.append(request)
        outcome = self._outcomes.pop(0) if self._outcomes else 200
        if isinstance(outcome, Exception):
            raise outcome
        return HttpResponse(status=outcome, headers=(("location", "http://169.254.169.254/"),))

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.body) for request in self.requests]

    @property
    def kinds(self) -> list[list[str]]:
        return [[alert["kind"] for alert in body["alerts"]] for body in self.bodies]


class Desk:
    def __init__(self, *outcomes: Any, **entry: Any) -> None:
        _, self.policy = read(CONFIG, file="test", env={})
        self.sent = entry.pop("transport", None) or Sent(*outcomes)
        self.rows = 0
        given = {"webhook": WEBHOOK, "every": 60.0, "least_requests": 10, "ledger_rows": 100, **entry}
        self.alerts = Alerts(AlertsEntry(**given), self.policy, self.sent, lambda: self.rows)  # type: ignore[arg-type]  # as above

    def turn(self, now: float) -> None:
        asyncio.run(self.alerts.turn(now))

    def out(self, place: int, why: str = "unavailable", until: float = 1e9) -> None:
        health = self.policy.group("fast").nodes[place].health
        health.out, health.until = why, until

    def back(self, place: int) -> None:
        self.policy.group("fast").nodes[place].health.out = ""


def ended(status: int) -> Ended:
    return Ended("chat", "openai_chat", None, b"r", None, None, status, 0.1, None)  # type: ignore[arg-type]  # not looked at


def test_a_deployment_goes_out_and_comes_back() -> None:
    desk = Desk()
    desk.turn(1.0)
    desk.out(0)
    desk.turn(2.0)
    desk.turn(3.0)
    desk.back(0)
    desk.turn(100.0)
    assert desk.sent.kinds == [["deployment_out"], ["deployment_back"]]
    assert desk.sent.bodies[0]["alerts"][0]["subject"] == "fast-1"
    assert "unavailable" in desk.sent.bodies[0]["alerts"][0]["message"]


def test_a_provider_that_asks_to_wait_is_no_alert() -> None:
    desk = Desk()
    desk.out(0, "rate_limit")
    desk.turn(1.0)
    assert desk.sent.requests == []


def test_what_happens_in_between_comes_together() -> None:
    desk = Desk()
    desk.out(0)
    desk.turn(1.0)
    desk.out(1)
    desk.alerts.budget(Alert(CounterKey("team", "t-1", "", ""), 80, 8_000_000_000, 10_000_000_000))
    desk.turn(2.0)
    desk.turn(60.0)
    assert desk.sent.kinds == [["deployment_out"]]
    desk.turn(61.0)
    assert [set(kinds) for kinds in desk.sent.kinds] == [{"deployment_out"}, {"deployment_out", "budget"}]
    budget = next(alert for alert in desk.sent.bodies[1]["alerts"] if alert["kind"] == "budget")
    assert budget["subject"] == "team t-1 80%"
    assert budget["message"] == "8.0000 of 10.0000 USD are spent"


@pytest.mark.parametrize(("failed", "whole", "told"), [(5, 5, True), (4, 6, False), (5, 0, False), (0, 100, False)])
def test_many_errors_in_a_while_are_an_alert(failed: int, whole: int, told: bool) -> None:
    desk = Desk()
    desk.turn(0.0)
    for status in [500] * failed + [200] * whole:
        desk.alerts(ended(status))
    desk.turn(59.0)
    assert desk.sent.requests == []
    desk.turn(60.0)
    assert desk.sent.kinds == ([["error_rate"]] if told else [])


def test_errors_of_clients_do_not_count() -> None:
    desk = Desk()
    desk.turn(0.0)
    for _ in range(50):
        desk.alerts(ended(429))
    desk.turn(60.0)
    assert desk.sent.requests == []


def test_a_ledger_that_lags_is_told_once() -> None:
    desk = Desk()
    for now, rows in ((1.0, 100), (2.0, 101), (3.0, 500), (4.0, 0), (100.0, 0)):
        desk.rows = rows
        desk.turn(now)
    assert desk.sent.kinds == [["ledger"]]


def test_slack_gets_a_text() -> None:
    desk = Desk(webhook=None, slack=SLACK)
    desk.out(0)
    desk.turn(1.0)
    (body,) = desk.sent.bodies
    assert body.keys() == {"text"}
    assert "deployment out: fast-1" in body["text"]


def test_a_redirect_leads_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(302, slack=SLACK)
    desk.out(0)
    desk.turn(1.0)
    assert [request.url for request in desk.sent.requests] == [WEBHOOK, SLACK]
    assert "status 302" in caplog.text


@pytest.mark.parametrize("outcome", [500, TransportFailure("connect", "no")])
def test_what_could_not_be_sent_is_sent_with_the_next(outcome: Any, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(outcome)
    desk.out(0)
    desk.turn(1.0)
    desk.out(1)
    desk.turn(61.0)
    assert desk.sent.kinds == [["deployment_out"], ["deployment_out", "deployment_out"]]
    assert "hooks.test" not in caplog.text


def test_what_one_address_has_not_taken_comes_there_again_and_not_to_the_other() -> None:
    desk = Desk(500, slack=SLACK)
    desk.out(0)
    desk.turn(1.0)
    desk.out(1)
    desk.turn(61.0)
    webhook, slack = ([sent for sent in desk.sent.requests if sent.url == url] for url in (WEBHOOK, SLACK))
    told = [[alert["subject"] for alert in json.loads(sent.body)["alerts"]] for sent in webhook]
    assert told == [["fast-1"], ["fast-1", "fast-2"]]
    texts = [json.loads(sent.body)["text"] for sent in slack]
    assert ["fast-1" in text for text in texts] == [True, False]
    assert "fast-2" in texts[1]


def test_an_address_that_hangs_keeps_nothing_from_the_other() -> None:
    async def scenario() -> None:
        told, never = asyncio.Event(), asyncio.Event()

        class Hanging:
            async def send(self, request: HttpRequest, timeouts: Any) -> HttpResponse:
                await (never.wait() if request.url == WEBHOOK else asyncio.sleep(0))
                told.set()
                return HttpResponse(status=200)

        desk = Desk(slack=SLACK, transport=Hanging())
        desk.out(0)
        turn = asyncio.create_task(desk.alerts.turn(1.0))
        await asyncio.wait_for(told.wait(), 10)
        assert not turn.done()
        never.set()
        await turn

    asyncio.run(scenario())


def test_no_more_than_so_many_wait() -> None:
    desk = Desk(*[500] * 3)
    for number in range(500):
        desk.alerts.budget(Alert(CounterKey("key", f"k-{number}", "", ""), 80, 8, 10))
    desk.turn(1.0)
    assert len(desk.sent.bodies[0]["alerts"]) == 200
    assert desk.sent.bodies[0]["dropped"] == 300


@pytest.mark.parametrize("url", ["ftp://hooks.test", "https://user:password@hooks.test", "hooks.test"])
def test_an_address_is_an_http_url_without_a_password(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"alerts\.webhook"):
        read(CONFIG + f"alerts: {{webhook: '{url}'}}\n", file="test", env={})
