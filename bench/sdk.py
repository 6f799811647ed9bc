"""The SDK's own cost: CPU microseconds a call and a streamed chunk, beside raw httpx2, `openai` and `litellm`, one thread.

Each runs in a process of its own (litellm in its own environment) against the same upstream; the numbers are the caller's
CPU time, the import of the library measured apart.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from candidates import Unavailable, install

CALLS, STREAMS = 600, 25

PRELUDE = """
import json, os, resource, sys, time
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
base, burst, calls, streams = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
messages = [{"role": "user", "content": "Tell me about the harbour."}]
began = cpu()
"""
MEASURE = """
loaded = cpu() - began
call(); call()
start = cpu()
for _ in range(calls): call()
each = (cpu() - start) / calls * 1e6
chunks = stream()
start = cpu()
chunks = sum(stream() for _ in range(streams))
event = (cpu() - start) / chunks * 1e6
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
print(json.dumps({"call_us": round(each, 1), "chunk_us": round(event, 2), "import_ms": round(loaded * 1e3, 1),
                  "rss_mb": round(rss, 1), "modules": len(sys.modules), "chunks": chunks}))
"""
PROGRAMS = {
    "httpx2": """
import httpx2
client = httpx2.Client()
body = {"model": "gpt-4o-mini", "messages": messages}
def call():
    answer = client.post(base + "/chat/completions", json=body, headers={"authorization": "Bearer k"})
    return answer.json()["choices"][0]["message"]["content"]
def stream():
    count = 0
    with client.stream("POST", burst + "/chat/completions", json={**body, "stream": True}) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                json.loads(line[6:]); count += 1
    return count
""",
    "dragoman": """
import dragoman
imported = cpu() - began
where = {"api_key": "k", "num_retries": 0}
def call():
    return dragoman.completion("openai/gpt-4o-mini", messages, api_base=base, **where).choices[0].message.content
def stream():
    return sum(1 for _ in dragoman.completion("openai/gpt-4o-mini", messages, stream=True, api_base=burst, **where))
""",
    "openai": """
import openai
client = openai.OpenAI(base_url=base, api_key="k", max_retries=0)
streaming = openai.OpenAI(base_url=burst, api_key="k", max_retries=0)
def call():
    return client.chat.completions.create(model="gpt-4o-mini", messages=messages).choices[0].message.content
def stream():
    return sum(1 for _ in streaming.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True))
""",
    "litellm": """
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm
where = {"api_key": "k", "num_retries": 0}
def call():
    return litellm.completion("openai/gpt-4o-mini", messages, api_base=base, **where).choices[0].message.content
def stream():
    return sum(1 for _ in litellm.completion("openai/gpt-4o-mini", messages, stream=True, api_base=burst, **where))
""",
}


def measure_sdk(build: Path, ports: dict[str, int]) -> dict[str, object]:
    results: dict[str, object] = {}
    for name, program in PROGRAMS.items():
        try:
            python = interpreter(name, build)
            script = build / f"sdk-{name}.py"
            script.write_text(PRELUDE + program + MEASURE)
            urls = [f"http://127.0.0.1:{ports['fast']}/v1", f"http://127.0.0.1:{ports['burst']}/v1"]
            run = subprocess.run(
                [python, str(script), *urls, str(CALLS), str(STREAMS)],
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            if run.returncode:
                raise Unavailable(run.stderr.strip().splitlines()[-1])
            results[name] = json.loads(run.stdout.splitlines()[-1])
        except Unavailable as reason:
            print(f"skipped the SDK {name}: {reason}")
    print("\nSDK, sync, one thread: CPU microseconds")
    print(f"  {'':<12}{'a call':>9}{'a chunk':>9}{'import ms':>11}{'RSS MB':>8}{'modules':>9}")
    for name, row in results.items():
        print(f"  {name:<12}{row['call_us']:>9}{row['chunk_us']:>9}{row['import_ms']:>11}{row['rss_mb']:>8}{row['modules']:>9}")
    return results


def interpreter(name: str, build: Path) -> str:
    if name != "litellm":
        return sys.executable
    folder = build / "peers" / "litellm"
    if not (folder / "bin" / "python").exists():
        folder.mkdir(parents=True, exist_ok=True)
        install(folder, "litellm[proxy]")
    return str(folder / "bin" / "python")
