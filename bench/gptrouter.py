"""GPTRouter's face: CPU microseconds of the gateway a request and a streamed event, beside its own /v1/chat/completions.

And of our client a call, beside the official one: GPTROUTER_PYTHONS names interpreters with it (tools/gptrouter_clients.sh).

    python bench/gptrouter.py            one gateway, one connection, the demo upstream, each a process of its own
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from process_tree import cpu_seconds

REQUESTS, STREAMS, WORDS, CALLS = 2500, 60, 1000, 300
MESSAGES = [{"role": "user", "content": "Tell me about the harbour."}]

PROGRAM = """
import json, resource, sys
from {package} import GPTRouterClient
from {package}.models import GenerationParams, ModelGenerationRequest
client = GPTRouterClient(base_url=sys.argv[1], api_key="k-any")
params = GenerationParams(messages={messages!r}, max_tokens=50)
asked = [ModelGenerationRequest(model_name="m", provider_name="chat_openai", order=1, prompt_params=params)]
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
client.generate(ordered_generation_requests=asked)
start = cpu()
for _ in range({calls}): client.generate(ordered_generation_requests=asked)
print(json.dumps((cpu() - start) / {calls} * 1e6))
"""


@contextmanager
def running(*command: str) -> Iterator[tuple[str, int]]:
    """Its address and process id, once it has said where it listens."""
    with subprocess.Popen([sys.executable, "-m", "dragoman", *command], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield line[line.index("http") :].split()[0].rstrip("/,").removesuffix("/v1"), process.pid
        finally:
            process.terminate()


def requests() -> dict[str, tuple[str, dict[str, object]]]:
    candidate = {"order": 1, "modelName": "m", "providerName": "chat_openai", "promptParams": {"messages": MESSAGES}}
    return {
        "/v1/chat/completions": ("/v1/chat/completions", {"model": "m", "messages": MESSAGES}),
        "/api/v1/generate": ("/api/v1/generate", {"data": [candidate]}),
    }


def each(session: httpx2.Client, pid: int, path: str, body: dict[str, object]) -> float:
    for _ in range(200):
        session.post(path, json=body)
    start = cpu_seconds(pid)
    for _ in range(REQUESTS):
        session.post(path, json=body)
    return (cpu_seconds(pid) - start) / REQUESTS * 1e6


def event(session: httpx2.Client, pid: int, path: str, body: dict[str, object]) -> float:
    """Of a long stream, where what a request costs is lost among its events."""
    count, start = 0, cpu_seconds(pid)
    for _ in range(STREAMS):
        count += session.post(path, json=body).content.count(b"data: {")
    return (cpu_seconds(pid) - start) / count * 1e6


def measure() -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder, running("demo-upstream", "--port", "0") as (upstream, _):
        path = Path(folder) / "bench.yaml"
        entry = "  - {{name: {}, model: 'openai/{}', api_base: '{}/v1', api_key: k}}\n"
        path.write_text(
            "models:\n" + entry.format("m", "echo", upstream) + entry.format("long", f"echo?length={WORDS}", upstream)
        )
        with running("serve", "--port", "0", "--config", str(path)) as (url, pid):
            found: dict[str, object] = {}
            with httpx2.Client(base_url=url, trust_env=False, timeout=60) as session:
                for name, (route, body) in requests().items():
                    long = json.loads(json.dumps(body).replace('"m"', '"long"'))
                    told = {
                        "request_us": round(each(session, pid, route, body), 1),
                        "event_us": round(event(session, pid, route, {**long, "stream": True}), 2),
                    }
                    found[name] = told
            clients = {"dragoman.gptrouter": sys.executable}
            for python in filter(None, os.environ.get("GPTROUTER_PYTHONS", "").split(":")):
                clients[f"gpt_router in {Path(python).parent.parent.name}"] = python
            for name, python in clients.items():
                package = "dragoman.gptrouter" if python == sys.executable else "gpt_router"
                program = PROGRAM.format(package=package, messages=MESSAGES, calls=CALLS)
                done = subprocess.run([python, "-c", program, url], capture_output=True, text=True, timeout=300, check=True)
                found[name] = {"call_us": round(json.loads(done.stdout), 1)}
            return found


if __name__ == "__main__":
    for name, told in measure().items():
        print(f"{name:<28} {told}")
