"""Alerts to a webhook and to Slack: deployments that go out and come back, budgets, many errors, a ledger that lags.

What happens is gathered and sent together, at most once in `every` seconds. Requests go to the two configured addresses and
nowhere else, and no redirect is followed. What one of them did not take is tried again there with the next message.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from dragoman.core import json
from dragoman.core.http import HttpRequest, Timeouts, TransportFailure

if TYPE_CHECKING:
    from dragoman.gateway.governance.budgets import Alert as BudgetAlert
    from dragoman.gateway.observing.entries import AlertsEntry
    from dragoman.gateway.observing.requests import Ended
    from dragoman.router.policy import Policy
    from dragoman.transport.base import AsyncTransport

logger = logging.getLogger("dragoman.gateway")

MOST = 200
"""Alerts that wait to be sent; more are counted."""
SHOWN = 20
_PATIENCE = Timeouts(connect=5.0, first_token=10.0, idle=10.0, total=10.0)


class Alert(Struct, frozen=True, kw_only=True):
    """`kind`: deployment_out, deployment_back, budget, error_rate or ledger. `subject`: whom it is about."""

    kind: str
    subject: str
    message: str


class Address:
    """Where alerts go. What it has not taken comes with its next message, `every` seconds later. `write`: alerts, and how many
    more there were, as it wants them.
    """

    def __init__(self, url: str, write: Callable[[list[Alert], int], Any], every: float) -> None:
        self._url = url
        self._write = write
        self._every = every
        self._next = 0.0
        self._pending: dict[tuple[str, str], Alert] = {}
        self._dropped = 0

    def note(self, alert: Alert) -> None:
        place = (alert.kind, alert.subject)
        if len(self._pending) >= MOST and place not in self._pending:
            self._dropped += 1
        else:
            self._pending[place] = alert

    async def send(self, transport: AsyncTransport, now: float) -> None:
        """If there is something, and it is time. `now`: monotonic seconds."""
        if not self._pending or now < self._next:
            return
        self._next = now + self._every
        alerts, dropped = list(self._pending.values()), self._dropped
        if not await self._post(transport, self._write(alerts, dropped)):
            return
        self._dropped -= dropped
        for alert in alerts:
            if self._pending.get((alert.kind, alert.subject)) is alert:
                del self._pending[alert.kind, alert.subject]

    async def _post(self, transport: AsyncTransport, body: Any) -> bool:
        """The address may be a secret, so it is not told."""
        headers = (("content-type", "application/json"),)
        request = HttpRequest(method="POST", url=self._url, headers=headers, body=json.encode(body))
        try:
            status = (await transport.send(request, _PATIENCE)).status
        except TransportFailure as failure:
            logger.warning("An alert could not be sent: %s", failure.kind)
            return False
        if status >= 300:
            logger.warning("An alert was not taken: status %d", status)
        return bool(status < 300)


class Alerts:
    """`turn` is called once a second. `waiting`: how many rows the ledger has that the database has not."""

    def __init__(self, entry: AlertsEntry, policy: Policy, transport: AsyncTransport, waiting: Callable[[], int]) -> None:
        self._entry = entry
        self._policy = policy
        self._transport = transport
        self._waiting = waiting
        ways = ((entry.webhook, _for_webhook), (entry.slack, _for_slack))
        self._addresses = [Address(url, write, entry.every) for url, write in ways if url is not None]
        self._out: dict[str, str] = {}
        self._requests = self._errors = 0
        self._next_rate: float | None = None
        self._lagging = False

    def __call__(self, ended: Ended) -> None:
        """Told by `requests`."""
        self._requests += 1
        self._errors += ended.status >= 500

    def budget(self, alert: BudgetAlert) -> None:
        """Told by governance. Amounts are nano-dollars."""
        key = alert.key
        subject = " ".join(filter(None, (key.kind, key.id, key.part)))
        spent, limit = alert.spent / 1e9, alert.limit / 1e9
        self._note("budget", f"{subject} {alert.percent}%", f"{spent:.4f} of {limit:.4f} USD are spent")

    async def turn(self, now: float) -> None:
        """Look around, and send what there is, if it is time. `now`: monotonic seconds."""
        self._look_at_deployments(now)
        self._look_at_errors(now)
        self._look_at_ledger()
        await asyncio.gather(*(address.send(self._transport, now) for address in self._addresses))

    def _note(self, kind: str, subject: str, message: str) -> None:
        alert = Alert(kind=kind, subject=subject, message=message)
        for address in self._addresses:
            address.note(alert)

    def _look_at_deployments(self, now: float) -> None:
        """What a provider asked to wait for is no ejection."""
        rows = self._policy.explain(now)
        out = {row["deployment"]: row for row in rows if row["out_because"] not in {"", "rate_limit"}}
        for name, row in out.items():
            if name not in self._out:
                self._out[name] = row["out_because"]
                text = f"{row['group']}: left out for {row['returns_in']:.0f} s because of {row['out_because']}"
                self._note("deployment_out", name, text)
        for name in [name for name in self._out if name not in out]:
            self._note("deployment_back", name, f"asked again; it was out because of {self._out.pop(name)}")

    def _look_at_errors(self, now: float) -> None:
        if self._next_rate is None:
            self._next_rate = now + self._entry.every
        if now < self._next_rate:
            return
        self._next_rate = now + self._entry.every
        requests, errors = self._requests, self._errors
        self._requests = self._errors = 0
        if requests >= self._entry.least_requests and errors >= self._entry.error_rate * requests:
            message = f"{errors} of {requests} requests in {self._entry.every:.0f} s have failed"
            self._note("error_rate", "gateway", message)

    def _look_at_ledger(self) -> None:
        rows = self._waiting()
        lagging = rows > self._entry.ledger_rows
        if lagging and not self._lagging:
            self._note("ledger", "database", f"{rows} rows wait for the database")
        self._lagging = lagging


def _for_webhook(alerts: list[Alert], dropped: int) -> Any:
    return {"source": "dragoman", "alerts": alerts, "dropped": dropped}


def _for_slack(alerts: list[Alert], dropped: int) -> Any:
    return {"text": _text(alerts, dropped)}


def _text(alerts: list[Alert], dropped: int) -> str:
    lines = [f"{alert.kind.replace('_', ' ')}: {alert.subject}: {alert.message}" for alert in alerts[:SHOWN]]
    more = len(alerts) - len(lines) + dropped
    return "\n".join(["Dragoman", *lines, *([f"and {more} more"] if more else [])])
