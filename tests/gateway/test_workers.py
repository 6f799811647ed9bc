"""What several workers lack to count together is said before they start; what becomes of those that do not start."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from dragoman.cli.app import app
from dragoman.core.errors import ConfigurationError
from dragoman.gateway.config import read
from dragoman.gateway.workers import Supervisor, advice

BASE = "models: [{name: m, model: local/smollm2-135m}]\nserver: {api_key: sk-master-of-this-test, workers: 4}\n"
SQLITE = "governance: {}\n"
POSTGRESQL = "governance: {database: 'postgresql://dragoman@db/dragoman'}\n"
SHARED = "shared: {url: 'redis://valkey:6379/0'}\n"
RPM = BASE.replace("smollm2-135m}", "smollm2-135m, rpm: 60}, {name: free, model: local/smollm2-135m}")
LIMITS, MACHINES = "limits for itself", "PostgreSQL"


@pytest.mark.parametrize(
    "text, workers, said",
    [
        (BASE, 4, []),
        (BASE + SQLITE, 1, []),
        (BASE + SQLITE, 4, [LIMITS, MACHINES]),
        (BASE + SQLITE + SHARED, 4, [MACHINES]),
        (BASE + POSTGRESQL, 4, [LIMITS]),
        (BASE + POSTGRESQL + SHARED, 4, []),
        (RPM, 4, ["deployments for itself, so those of m are"]),
        (RPM, 1, []),
        (RPM + SHARED, 4, []),
        (RPM + SQLITE, 4, ["deployments", LIMITS, MACHINES]),
        (BASE + "router: {max_parallel: 3}\n", 4, ["deployments"]),
    ],
)
def test_what_is_said(text: str, workers: int, said: list[str]) -> None:
    config, policy = read(text, file="x.yaml", env={})
    found = advice(config, policy, workers)
    assert len(found) == len(said)
    assert all(word in note for word, note in zip(said, found, strict=True))


@pytest.mark.parametrize("options, notes", [([], 2), (["--workers", "1"], 0)])
def test_check_says_it(tmp_path: Path, options: list[str], notes: int) -> None:
    (tmp_path / "x.yaml").write_text(BASE + SQLITE)
    found = CliRunner().invoke(app, ["check", "--config", str(tmp_path / "x.yaml"), *options], catch_exceptions=False)
    assert found.exit_code == 0
    assert found.output.count("note: ") == notes


@pytest.mark.parametrize("url", ["valkey:6379", "http://valkey:6379", ""])
def test_an_address_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"x\.yaml:3: shared\.url") as refused:
        read(BASE + f"shared: {{url: '{url}'}}\n", file="x.yaml", env={})
    assert not url or url not in refused.value.message


# ---------------------------------------------------------------------------------------------------------- the supervisor
WORKER = """
mode=$(cat mode)
echo $$ >> started
case $mode in
  killed) kill -9 $$ ;;
  failing) exit 3 ;;
esac
echo ready
cat > /dev/null
"""
"""Ends as a worker does: by a signal, or when nobody holds its standard input any more."""


class Kept:
    """A supervisor of shell scripts, told by `mode` how they start."""

    def __init__(self, folder: Path, mode: str) -> None:
        self.folder = folder
        (folder / "worker").write_text(WORKER)
        self.mode(mode)

    def mode(self, mode: str) -> None:
        (self.folder / "mode").write_text(mode)

    def started(self) -> list[int]:
        path = self.folder / "started"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    async def run(self, scenario: Callable[[], Awaitable[None]]) -> int:
        """The exit status; `scenario` happens meanwhile, and then it is told to stop."""
        with socket.socket() as listening:
            command = ["/bin/sh", "-c", f"cd {self.folder}; . ./worker"]
            running = asyncio.create_task(Supervisor(command, listening, 1).run())
            await scenario()
            if not running.done():
                os.kill(os.getpid(), signal.SIGTERM)
            return await asyncio.wait_for(running, 30)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - another process is waited for
            await asyncio.sleep(0.01)


def lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


needs_proc = pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc to see the workers in")


@needs_proc
def test_a_reload_whose_worker_is_killed_leaves_the_old_one(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept(tmp_path, "serving")

    async def scenario() -> None:
        await until(lambda: len(kept.started()) == 1)
        kept.mode("killed")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "does not serve" in caplog.text)
        assert lives(kept.started()[0])

    assert asyncio.run(kept.run(scenario)) == 0
    assert len(kept.started()) == 4
    assert caplog.text.count("was killed while it started") == 2


@needs_proc
@pytest.mark.parametrize(("mode", "tries"), [("killed", 3), ("failing", 1)])
def test_what_does_not_start_is_an_error_and_no_loop(
    tmp_path: Path, mode: str, tries: int, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept(tmp_path, mode)

    async def scenario() -> None:
        await until(lambda: "The gateway does not start" in caplog.text)

    assert asyncio.run(kept.run(scenario)) == 1
    assert len(kept.started()) == tries


@needs_proc
def test_one_that_is_killed_as_it_starts_has_another_try(tmp_path: Path) -> None:
    kept = Kept(tmp_path, "killed")

    async def scenario() -> None:
        await until(lambda: len(kept.started()) == 1)
        kept.mode("serving")
        await until(lambda: len(kept.started()) > 1 and lives(kept.started()[-1]))

    assert asyncio.run(kept.run(scenario)) == 0
