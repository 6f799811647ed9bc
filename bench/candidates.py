"""Who is measured: the floor, the peers and Dragoman, each with how it is installed, configured and started.

Peers live in environments of their own under .bench/peers, made at the first run and kept. Their configurations are the
leanest that do the job (no database, no log sinks), which flatters them. What cannot be had raises Unavailable.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from payloads import BODIES, MODEL
from process_tree import tree

TENSORZERO_STARTER = """
import sys, time, tensorzero
stores = {"clickhouse_url": None, "postgres_url": None, "valkey_url": None}
gateway = tensorzero._start_http_gateway(config_file=sys.argv[1], async_setup=False, **stores)
print(gateway.base_url, flush=True)
while True:
    time.sleep(3600)
"""


LITELLM_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOG": "ERROR",
    "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # it has no database and no users here
}


KEY = "sk-bench-0123456789abcdef0123456789abcdef"
"""What the load shows as its key."""


class Unavailable(Exception):  # noqa: N818 - it is a finding, not a fault
    """This candidate cannot be measured here; the message says why."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def run(*command: str, cwd: Path | None = None) -> None:
    """An installation step. Unavailable with the last line of what it printed when it fails."""
    try:
        subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True, timeout=900)
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is not installed") from None
    except subprocess.CalledProcessError as problem:
        lines = (problem.stderr or problem.stdout or "no output").strip().splitlines()
        raise Unavailable(f"{' '.join(command[:4])} failed: {lines[-1][:160]}") from None


@dataclass
class Candidate:
    """One gateway. `port(upstream)` is where to send load that should reach that upstream."""

    name: str
    model: str = MODEL
    path: str = "/v1/chat/completions"
    ports: dict[str, int] = field(default_factory=dict)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    pids: dict[str, int] = field(default_factory=dict)

    def start(self, build: Path, pin: list[str], upstreams: dict[str, int]) -> None:
        """Start one process for each upstream, and wait until it answers."""
        self.prepare(build / "peers" / self.name)
        for name, upstream in upstreams.items():
            self.ports[name] = free_port()
            process = self.launch(build / "peers" / self.name, pin, self.ports[name], upstream, name)
            self.processes.append(process)
            self.pids[name] = process.pid
            self.wait(name, process)

    def prepare(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def launch(self, folder: Path, pin: list[str], port: int, upstream: int, name: str) -> subprocess.Popen[str]:
        raise NotImplementedError

    def body(self, kind: str) -> bytes:
        return BODIES[kind].replace(f'"model":"{MODEL}"'.encode(), f'"model":"{self.model}"'.encode())

    def wait(self, name: str, process: subprocess.Popen[str], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        last = "no answer"
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise Unavailable(f"it ended with status {process.returncode} while starting")
            try:
                request = urllib.request.Request(
                    f"http://127.0.0.1:{self.ports[name]}{self.path}",
                    data=self.body("plain"),
                    headers={
                        "content-type": "application/json",
                        "authorization": f"Bearer {KEY}",
                        "x-portkey-provider": "openai",
                        "x-portkey-custom-host": "http://127.0.0.1:9101/v1",
                    },
                )
                with urllib.request.urlopen(request, timeout=5) as answer:
                    if answer.status == 200:
                        return
            except OSError as problem:
                last = str(problem)
            time.sleep(0.1)
        raise Unavailable(f"it did not answer within {seconds:.0f} s: {last}")

    def signal(self, number: int) -> None:
        for process in self.processes:
            for pid in tree(process.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)

    def pause(self) -> None:
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def stop(self) -> None:
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        for process in self.processes:
            process.wait()


def spawn(pin: list[str], *command: str, folder: Path, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    with (folder / "log.txt").open("w") as log:
        return subprocess.Popen(
            [*pin, *command],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=folder,
            env={**os.environ, **(env or {})},
        )


class Direct(Candidate):
    """No gateway: the upstream itself. Its row is the cost of answering, not of a gateway."""

    def start(self, build: Path, pin: list[str], upstreams: dict[str, int]) -> None:
        del build, pin
        self.ports = dict(upstreams)


class Nginx(Candidate):
    """nginx as a reverse proxy: the floor of what moving the bytes costs. No JSON, no keys, no routing."""

    def prepare(self, folder: Path) -> None:
        super().prepare(folder)
        if shutil.which("nginx") is None:
            raise Unavailable("nginx is not installed (apt-get install nginx-light, brew install nginx)")

    def launch(self, folder: Path, pin: list[str], port: int, upstream: int, name: str) -> subprocess.Popen[str]:
        config = folder / f"{name}.conf"
        config.write_text(f"""
daemon off; worker_processes 1; pid {folder}/{name}.pid; error_log stderr crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_buffer_size 256k; client_max_body_size 32m; keepalive_requests 1000000000;
  client_body_temp_path {folder}/{name}-body; proxy_temp_path {folder}/{name}-proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream model {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
""")
        return spawn(pin, "nginx", "-p", str(folder), "-c", str(config), folder=folder)


class Dragoman(Candidate):
    """This package as it is installed here: one worker, everything it does by default but metrics, which others have not on."""

    settings = "metrics: {enabled: false}\n"

    def launch(self, folder: Path, pin: list[str], port: int, upstream: int, name: str) -> subprocess.Popen[str]:
        config = folder / f"{name}.yaml"
        config.write_text(
            self.settings
            + f"models:\n  - {{name: {MODEL}, model: openai/{MODEL}, api_key: sk-up, api_base: 'http://127.0.0.1:{upstream}/v1'}}\n"
        )
        program = str(Path(sys.executable).parent / "dragoman")
        return spawn(pin, program, "serve", "--config", str(config), "--port", str(port), folder=folder)


class DragomanReal(Dragoman):
    """As a company runs it: a virtual key with a budget and two limits, the ledger in SQLite, metrics. All of it is counted."""

    settings = "server: {api_key: sk-master-of-the-bench}\ngovernance: {database: 'sqlite:///ledger.db', journal: journal}\n"

    def prepare(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        super().prepare(folder)

    def launch(self, folder: Path, pin: list[str], port: int, upstream: int, name: str) -> subprocess.Popen[str]:
        own = folder / name
        own.mkdir()
        process = super().launch(own, pin, port, upstream, name)
        self.make_key(f"http://127.0.0.1:{port}/key/generate")
        return process

    @staticmethod
    def make_key(url: str) -> None:
        wanted = {"key": KEY, "max_budget": 1e6, "budget_duration": "1d", "rpm_limit": 10**9, "tpm_limit": 10**12}
        headers = {"authorization": "Bearer sk-master-of-the-bench", "content-type": "application/json"}
        for _ in range(300):
            try:
                urllib.request.urlopen(urllib.request.Request(url, json.dumps(wanted).encode(), headers), timeout=5).close()
            except urllib.error.HTTPError as problem:
                raise Unavailable(f"no key could be made: {problem.read()[:200]!r}") from None
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise Unavailable("it did not start within 30 s")


class LiteLLM(Candidate):
    """LiteLLM's proxy with its default server, one worker, no database."""

    def prepare(self, folder: Path) -> None:
        super().prepare(folder)
        if not (folder / "bin" / "litellm").exists():
            install(folder, "litellm[proxy]")

    def launch(self, folder: Path, pin: list[str], port: int, upstream: int, name: str) -> subprocess.Popen[str]:
        config = folder / f"{name}.yaml"
        config.write_text(
            f"model_list:\n  - model_name: {MODEL}\n    litellm_params:\n      model: openai/{MODEL}\n"
            f"      api_base: http://127.0.0.1:{upstream}/v1\n      api_key: sk-up\n"
            "litellm_settings:\n  telemetry: false\n"
        )
        command = (str(folder / "bin" / "litellm"), "--config", str(config), "--port", str(port), "--host", "127.0.0.1")
        return spawn(pin, *command, folder=folder, env=LITELLM_ENVIRONMENT)


class TensorZero(Candidate):
    """TensorZero's gateway, started from its wheel, observability off."""

    def prepare(self, folder: Path) -> None:
        super().prepare(folder)
        if not (folder / "bin" / "python").exists() or not list(folder.glob("lib/*/site-packages/tensorzero")):
            install(folder, "tensorzero")
        (folder / "start.py").write_text(TENSORZERO_STARTER)

    def launch(self, folder: Path, pin: list[str], port: int, upstream: int, name: str) -> subprocess.Popen[str]:
        config = folder / f"{name}.toml"
        config.write_text(
            f'[gateway]\nobservability.enabled = false\n[models."{MODEL}"]\nrouting = ["openai"]\n'
            f'[models."{MODEL}".providers.openai]\ntype = "openai"\nmodel_name = "{MODEL}"\n'
            f'api_base = "http://127.0.0.1:{upstream}/v1/"\napi_key_location = "none"\n'
        )
        process = spawn(pin, str(folder / "bin" / "python"), "-u", "start.py", str(config), folder=folder)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            lines = [line for line in (folder / "log.txt").read_text().splitlines() if line.startswith("http://")]
            if lines:
                self.ports[name] = urlsplit(lines[-1]).port or 0
                break
            time.sleep(0.1)
        return process


class Portkey(Candidate):
    """Portkey's gateway on node. It listens on all interfaces by default; stop it when you are done."""

    def prepare(self, folder: Path) -> None:
        super().prepare(folder)
        if not (folder / "node_modules" / "@portkey-ai").exists():
            pinned = {"@hono/node-server": "1.14.1"}  # later ones answer 500 to every stream here
            (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": pinned, "overrides": pinned}))
            run("npm", "install", "--no-audit", "--no-fund", "@portkey-ai/gateway", cwd=folder)

    def launch(self, folder: Path, pin: list[str], port: int, upstream: int, name: str) -> subprocess.Popen[str]:
        script = folder / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
        return spawn(
            pin,
            "node",
            str(script),
            f"--port={port}",
            "--headless",
            folder=folder,
            env={"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"},
        )


def install(folder: Path, package: str) -> None:
    run(sys.executable, "-m", "venv", str(folder))
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    python = str(folder / "bin" / "python")
    if uv:
        run(uv, "pip", "install", "--quiet", "--python", python, package)
    else:
        run(python, "-m", "pip", "install", "--quiet", package)


CANDIDATES = [
    Direct("direct"),
    Nginx("nginx"),
    Dragoman("dragoman"),
    DragomanReal("dragoman-real"),
    TensorZero("tensorzero", model=f"tensorzero::model_name::{MODEL}", path="/openai/v1/chat/completions"),
    Portkey("portkey"),
    LiteLLM("litellm"),
]
