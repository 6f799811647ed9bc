"""All that watches a gateway, put together from its configuration: begun with the server, ended with it.

What is not configured is neither imported nor asked. Called by `app`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING

from dragoman.gateway.observing import worker_files
from dragoman.gateway.observing.logs import Redaction, RequestLines, learn
from dragoman.gateway.observing.metrics import Metrics
from dragoman.gateway.observing.metrics_page import MetricsPage
from dragoman.gateway.observing.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from dragoman.gateway.config import Config
    from dragoman.gateway.governance.budgets import Alert as BudgetAlert
    from dragoman.gateway.observing.alerts import Alerts
    from dragoman.gateway.observing.entries import RequestLogEntry
    from dragoman.gateway.observing.request_log import Files, RequestLog
    from dragoman.gateway.pipeline import Pipeline
    from dragoman.gateway.serving import Route, Routes
    from dragoman.router.policy import Policy

logger = logging.getLogger("dragoman.gateway")

TURN = 1.0
"""Seconds between two looks around."""


class Observing:
    """`start` and `stop` are called once, on the server's loop. What sends something is made by `start`, so that to read a
    configuration, or to keep workers, sends nothing.
    """

    def __init__(self, config: Config, pipeline: Pipeline) -> None:
        self._config = config
        self._pipeline = pipeline
        self._requests = Requests()
        self._tasks: list[asyncio.Task[None]] = []
        self._metrics: Metrics | None = None
        self._worker_files: worker_files.WorkerFiles | None = None
        self._log: RequestLog | None = None
        self._log_files: Files | None = None
        self._alerts: Alerts | None = None
        self._next_merge = 0.0
        self.routes: dict[tuple[str, bytes], Route] = {}
        self._count()
        self._redaction = Redaction(secrets(config, pipeline.policy))
        if config.logs.requests:
            self._requests.told.append(RequestLines(config.logs, self._redaction))
        if config.alerts is not None:
            from dragoman.gateway.observing.alerts import Alerts  # noqa: PLC0415 - few gateways have them

            self._alerts = Alerts(config.alerts, pipeline.policy, pipeline.transport, self._waiting_rows)
            self._requests.told.append(self._alerts)
        if config.request_log is not None:
            self._keep(config.request_log)
        if self._requests.told or config.telemetry.names:
            pipeline.requests = self._requests

    def wrapped(self, routes: Routes) -> Routes:
        """Routes of inference, behind what keeps samples of them where the configuration has a `request_log`."""
        return routes if self._log is None else self._log.wrapped(routes)

    @property
    def alerted(self) -> Callable[[BudgetAlert], None] | None:
        """Who else wants to know of budgets that pass their thresholds."""
        return None if self._alerts is None else self._alerts.budget

    def relisted(self, words: Iterable[str]) -> None:
        """The models are others; no line may show these words."""
        secret = list(words)
        self._redaction.learn(secret)
        learn(secret)
        if self._metrics is not None:
            self._metrics.relisted()

    async def start(self) -> None:
        """Raises ConfigurationError, where a hook lacks something."""
        self._hook()
        turns = (self._alert, self._alerts), (self._share, self._worker_files)
        self._tasks = [
            asyncio.create_task(_each_second(turn), name="dragoman-observing") for turn, of in turns if of is not None
        ]

    async def stop(self) -> None:
        """What is left is written, and traces are sent; alerts that wait are not."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._leave()
        if self._log_files is not None:
            self._log_files.close()
        for hook in self._requests.hooks:
            await asyncio.to_thread(hook.close)

    def _count(self) -> None:
        entry = self._config.metrics
        if not entry.enabled:
            return
        self._metrics = Metrics(self._pipeline, self._requests, by_key=entry.by_key)
        self._requests.told.append(self._metrics)
        self._pipeline.observers += (self._metrics.settled,)
        folder = worker_files.folder(entry.folder, os.environ)
        self._worker_files = None if folder is None else worker_files.WorkerFiles(folder)
        self.routes |= MetricsPage(self._pipeline, self._metrics, self._worker_files, open_=entry.open).routes()

    def _hook(self) -> None:
        names = self._config.telemetry.names
        if names:
            from dragoman.telemetry import named  # noqa: PLC0415 - needs an extra

            self._requests.hooks += [named.hook(name) for name in names]

    def _keep(self, entry: RequestLogEntry) -> None:
        from dragoman.gateway.observing.request_log import Files, RequestLog  # noqa: PLC0415 - few gateways have one

        self._log_files = Files(entry)
        self._log = RequestLog(self._log_files, share=entry.share, most=entry.max_body_kb * 1024)
        self._requests.told.append(self._log)

    async def _alert(self) -> None:
        if self._alerts is not None:
            await self._alerts.turn(time.perf_counter())

    async def _share(self) -> None:
        self._leave()
        now = time.time()
        if self._worker_files is not None and now >= self._next_merge:
            self._next_merge = now + worker_files.SILENT
            self._worker_files.merge(now)

    def _leave(self) -> None:
        if self._worker_files is None or self._metrics is None:
            return
        try:
            self._worker_files.leave(self._metrics.tables(), self._metrics.current())
        except OSError as problem:
            logger.warning("The numbers for other workers cannot be written: %s", problem.strerror)

    def _waiting_rows(self) -> int:
        admission = self._pipeline.admission
        return 0 if admission is None else len(admission.governance.ended)


async def _each_second(turn: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(TURN)
        try:
            await turn()
        except Exception:
            logger.exception("What watches the gateway has failed; it is tried again")


def secrets(config: Config, policy: Policy) -> list[str]:
    """What no log line may show."""
    passed_on = [entry.targets().values() for entry in (config.passthrough, config.files) if entry is not None]
    keys = [deployment.target.api_key for deployment in policy.deployments]
    keys += [secret for deployment in policy.deployments for secret in deployment.target.secrets.values()]
    keys += [target.api_key for targets in passed_on for target in targets]
    keys += [config.server.api_key, *(config.server.encryption_key or ())]
    if config.alerts is not None:
        keys += [config.alerts.slack, config.alerts.webhook]
    if config.gptrouter is not None:
        keys += [account.key for account in config.gptrouter.accounts]
    return [key for key in keys if key]
