"""`dragoman serve` as a process of its own, on a free port, for tests that need the real thing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("dragoman")


class RunningGateway:
    """`url` has no path; `openai_url` is what OpenAI's client calls its base URL, `url` what Anthropic's does. `config` is the
    file it has read, if there is one.
    """

    def __init__(self, url: str, process: subprocess.Popen[str], config: Path | None = None) -> None:
        self.config = config
        self.url = url
        self.openai_url = f"{url}/v1"
        self.process = process

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        return host, int(port)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path) as answer:
            return json.load(answer)


@contextmanager
def gateway(config: str | None = None, *, log: Path | None = None, **environment: str) -> Iterator[RunningGateway]:
    """Serve `config` (YAML text; None: no file). What it prints on stderr goes to `log`, or else to the test's stderr."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(PROGRAM), "serve", "--port", "0"]
        path = Path(folder) / "dragoman.yaml"
        if config is not None:
            path.write_text(config)
            arguments += ["--config", str(path)]
        env = {**os.environ, **environment}
        with (
            nullcontext() if log is None else log.open("wb") as errors,
            subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=errors, text=True, env=env) as process,
        ):
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "http" in line, f"the gateway did not start: {line!r}"
            try:
                yield RunningGateway(line[line.index("http") :].split()[0].removesuffix("/v1"), process, path)
            finally:
                if process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()
                    raise


def workers_of(served: RunningGateway) -> set[int]:
    """The process ids of its workers, where /proc tells them."""
    children = Path(f"/proc/{served.process.pid}/task/{served.process.pid}/children")
    return {int(pid) for pid in children.read_text().split()}


def demo_config(demo_url: str) -> str:
    """Model groups over the demo upstream, in both wire formats, and over faults of every kind."""
    faults = ("429", "500", "timeout", "cut", "stall", "garbage", "error_event", "401", "refuse")
    models = ["echo", "canned", "tools", "json", "reason", "embed"]
    lines = ["models:"]
    for name in models:
        lines += _entry(name, f"openai/{name}", f"{demo_url}/v1")
        lines += _entry(f"claude-{name}", f"anthropic/{name}", demo_url)
    for fault in faults:
        lines += _entry(f"fail-{fault}", f"openai/echo?fail={fault}&fail_after=2&length=12", f"{demo_url}/v1")
        lines += _entry(f"claude-fail-{fault}", f"anthropic/echo?fail={fault}&fail_after=2&length=12", demo_url)
    lines += _entry("slow", "openai/echo?length=2000&tokens_per_second=50", f"{demo_url}/v1")
    lines += _entry("claude-slow", "anthropic/echo?length=2000&tokens_per_second=50", demo_url)
    lines += ["timeouts: {connect: 2, first_token: 1, idle: 1}", "retries: 1"]
    return "\n".join(lines) + "\n"


def _entry(name: str, model: str, base: str) -> list[str]:
    return [f"  - {{name: {name}, model: '{model}', api_base: '{base}', api_key: sk-upstream}}"]
