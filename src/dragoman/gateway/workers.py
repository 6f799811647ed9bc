"""`dragoman serve --workers N`: one process that listens and keeps N others serving from its socket. It answers nothing itself.

A worker that dies is replaced. SIGTERM and SIGINT let open answers finish, a second one does not. SIGHUP replaces the workers
one after the other by such as have read the configuration anew; who waits in the socket's queue is served by whoever comes
next, so nobody is turned away. When this process dies its workers see their standard input end, and stop as by SIGTERM.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from dragoman.gateway.config import Config
    from dragoman.gateway.server import GatewayServer
    from dragoman.router.policy import Policy

logger = logging.getLogger("dragoman.gateway")

READY = b"ready\n"
PAUSES = (0.1, 1.0, 5.0)
"""Seconds before a worker that would not start is started again."""


class Supervisor:
    """`command` serves from the descriptor `--fd`. `run` returns the exit status."""

    def __init__(self, command: list[str], listening: socket.socket, number: int) -> None:
        self._listening = listening
        self._command = [*command, "--fd", str(listening.fileno())]
        self._number = number
        self._workers: list[Process | None] = [None] * number
        self._starting: set[Process] = set()
        self._leaving: set[Process] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._stopping = asyncio.Event()
        self._changing = asyncio.Lock()

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._begin(self._reload()))
        async with self._changing:
            started = await asyncio.gather(*(self._start() for _ in range(self._number)))
            failed = None in started and not self._stopping.is_set()
            if failed:
                logger.error("The gateway does not start: a worker ended before it was ready")
                self._stop()
            for place, process in enumerate(started):
                self._put(place, process)
        await self._stopping.wait()
        await asyncio.gather(*(process.wait() for process in self._processes() | self._leaving))
        for task in self._tasks:
            task.cancel()
        return int(failed)

    def _stop(self) -> None:
        """A worker that a reload has told already is told again by the second signal alone."""
        told = self._leaving if self._stopping.is_set() else set()
        self._stopping.set()
        for process in self._processes() | told:
            _terminate(process)

    def _processes(self) -> set[Process]:
        return self._starting.union(process for process in self._workers if process is not None)

    async def _start(self) -> Process | None:
        """A worker that serves; None when it ended before it did. One that is killed meanwhile has two more tries."""
        for pause in (*PAUSES[:2], None):
            process, serves = await self._tried()
            if serves:
                return process
            if await process.wait() >= 0 or pause is None or self._stopping.is_set():
                break
            logger.error("The worker %d was killed while it started; another is started", process.pid)
            await self._pause(pause)
        return None

    async def _pause(self, seconds: float) -> None:
        """Not longer than until all is to end."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    async def _tried(self) -> tuple[Process, bool]:
        """A worker, and whether it serves."""
        process = await asyncio.create_subprocess_exec(
            *self._command, stdin=PIPE, stdout=PIPE, pass_fds=[self._listening.fileno()], start_new_session=True
        )
        said = cast("asyncio.StreamReader", process.stdout)
        self._starting.add(process)
        try:
            return process, await said.readline() == READY
        finally:
            self._starting.discard(process)

    def _put(self, place: int, process: Process | None) -> None:
        """From now on this one serves there."""
        self._workers[place] = process
        if process is None:
            return
        if self._stopping.is_set():
            _terminate(process)
        else:
            self._begin(self._watch(place, process))

    async def _watch(self, place: int, process: Process) -> None:
        status = await process.wait()
        attempt = 0
        while self._workers[place] is process and not self._stopping.is_set():
            logger.error("The worker %d has ended with status %d; another takes its place", process.pid, status)
            new = await self._start()
            if new is not None and self._workers[place] is process:
                self._put(place, new)
            elif new is not None:
                self._dismiss(new)  # a reload was faster
            else:
                await self._pause(PAUSES[min(attempt, len(PAUSES) - 1)])
                attempt += 1

    async def _reload(self) -> None:
        async with self._changing:
            for place in range(self._number):
                new = await self._start()
                if self._stopping.is_set():  # the old one has been told; a second time it would not finish its answers
                    if new is not None:
                        self._dismiss(new)
                    return
                if new is None:
                    logger.error("The new configuration does not serve; the workers that are left go on with the old one")
                    return
                old = self._workers[place]
                self._put(place, new)
                if old is not None:
                    self._dismiss(old)

    def _dismiss(self, process: Process) -> None:
        """Nobody serves there any more; it finishes what it has begun."""
        self._leaving.add(process)
        _terminate(process)
        self._begin(self._gone(process))

    async def _gone(self, process: Process) -> None:
        await process.wait()
        self._leaving.discard(process)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _terminate(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()


def run_worker(running: GatewayServer, descriptor: int) -> None:
    """Serve from the supervisor's socket, tell it when it can be asked, and stop when it is gone."""
    listening = socket.socket(fileno=descriptor)

    def ready() -> None:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), gone)
        os.write(1, READY)
        os.dup2(2, 1)  # nobody reads any further

    def gone() -> None:
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        running.should_exit = True

    running.ready = ready
    running.run(sockets=[listening])


_FOR_EXACT = "for exact ones give `shared` the URL of a Valkey or Redis server"
_KEYS_ALONE = (
    "each worker counts limits for itself, so a key may do as many times more as there are workers, and budgets are "
    f"told between workers every quarter of a second: {_FOR_EXACT}"
)
_SQLITE = "SQLite serves the workers of one machine; for several machines give governance.database a PostgreSQL"


def advice(config: Config, policy: Policy, workers: int) -> list[str]:
    """What so many workers lack to count together."""
    if workers == 1:
        return []
    alone, governance = config.shared is None, config.governance
    limited = _limited(policy)
    those = ", ".join(limited[:5]) + ", ..." * (len(limited) > 5)
    deployments_alone = (
        f"each worker counts limits of deployments for itself, so those of {those} "
        f"are asked as many times more as there are workers: {_FOR_EXACT}"
    )
    notes = (
        (alone and bool(limited), deployments_alone),
        (alone and governance is not None, _KEYS_ALONE),
        (governance is not None and governance.database.startswith("sqlite"), _SQLITE),
    )
    return [note for holds, note in notes if holds]


def _limited(policy: Policy) -> list[str]:
    """The groups with a deployment that may be asked only so often."""
    usual = policy.settings.max_parallel
    terms = ((place.group, (place.terms.rpm, place.terms.tpm, place.terms.max_parallel, usual)) for place in policy.deployments)
    return list(dict.fromkeys(group for group, limits in terms if any(limit is not None for limit in limits)))
