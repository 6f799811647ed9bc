"""What LangChain's classes cost over a model's answer: CPU a call and a streamed chunk, import and memory, in one run.

    python bench/langchain.py [--rounds 3] [--calls 300]

ChatLiteLLM and ChatLiteLLMRouter of this package beside those of langchain_litellm, and beside ChatOpenAI: each in a process of
its own, all in one environment with one langchain-core (made in .bench, or the interpreter PYTHON_FOR_LANGCHAIN), against
`dragoman demo-upstream`. The classes are measured in turns, and the median of the rounds counts. A peer that cannot be
installed is named, with the reason.

Imports are compared with `langchain_core`: what any integration of a chat model needs of it (the base class, messages, outputs,
tools, parsers), which is what langchain_openai imports as well. `over_core` is what a class adds to that. Time is the CPU time
of a fresh interpreter, with the bytecode of all packages there, as an installation has it: each program runs once before.
What is loaded with the first model, and not by the import, stands under `first_ms`: the CPU time in which one is made.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from candidates import Unavailable, install

ROOT = Path(__file__).parent.parent
PYTHON = os.environ.get("PYTHON_FOR_LANGCHAIN")
PEERS = {"langchain_openai": "langchain-openai==1.7.3", "langchain_litellm": "langchain-litellm==0.11.2"}

PRELUDE = """
import asyncio, json, os, resource, sys
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
base, calls = sys.argv[1], int(sys.argv[2])
began, before = cpu(), len(sys.modules)
"""
CORE = """
import langchain_core.language_models.chat_models, langchain_core.messages, langchain_core.outputs, langchain_core.tools
import langchain_core.output_parsers.openai_tools, langchain_core.runnables, langchain_core.utils.function_calling
"""
MEASURE = """
MESSAGES = [("system", "You are terse."), ("human", "Tell me about the harbour.")]
def measured(count, ask):
    ask(); ask()
    start = cpu()
    done = sum(ask() for _ in range(count))
    return (cpu() - start) / done * 1e6
async def again(count, ask):
    await ask(); await ask()
    start = cpu()
    done = 0
    for _ in range(count):
        done += await ask()
    return (cpu() - start) / done * 1e6
async def ainvoke():
    return len([await model.ainvoke(MESSAGES)])
async def astream():
    return len([chunk async for chunk in model.astream(MESSAGES)])
def invoke():
    return len([model.invoke(MESSAGES)])
def stream():
    return len(list(model.stream(MESSAGES)))
async def both():
    return await again(calls, ainvoke), await again(max(calls // 10, 2), astream)
call, chunk = measured(calls, invoke), measured(max(calls // 10, 2), stream)
acall, achunk = asyncio.run(both())
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
print(json.dumps({"call_us": call, "acall_us": acall, "chunk_us": chunk, "achunk_us": achunk, "rss_mb": rss}))
"""
LOADED = """
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
print(json.dumps({"import_ms": (cpu() - began) * 1e3, "modules": len(sys.modules) - before, "import_rss_mb": rss}))
"""
MADE = """
print(json.dumps({"first_ms": (cpu() - began) * 1e3}))
"""
_ENTRY = """
entry = {"model_name": "fast", "litellm_params": {"model": "openai/echo?length=60", "api_base": base, "api_key": "k"}}
model = ChatLiteLLMRouter(router=Router(model_list=[entry]), model_name="fast", temperature=0.1)
"""
_PLAIN = 'model = ChatLiteLLM(model="openai/echo?length=60", api_base=base, api_key="k", temperature=0.1, max_retries=0)'

PROGRAMS: dict[str, tuple[str, str, str]] = {
    "langchain_core": ("", CORE, ""),
    "ChatLiteLLM": ("", "from dragoman.langchain import ChatLiteLLM", _PLAIN),
    "ChatLiteLLMRouter": ("", "from dragoman.langchain import ChatLiteLLMRouter\nfrom dragoman import Router", _ENTRY),
    "ChatOpenAI": (
        "langchain_openai",
        "from langchain_openai import ChatOpenAI",
        'model = ChatOpenAI(model="echo?length=60", base_url=base, api_key="k", temperature=0.1, max_retries=0)',
    ),
    "their ChatLiteLLM": (
        "langchain_litellm",
        "from langchain_litellm import ChatLiteLLM",
        _PLAIN.replace("max_retries=0", "max_retries=1"),
    ),
    "their ChatLiteLLMRouter": (
        "langchain_litellm",
        "from langchain_litellm import ChatLiteLLMRouter\nfrom litellm import Router",
        _ENTRY,
    ),
}
"""Name -> the peer it needs, its import, and the statements that make `model`."""


def environment() -> tuple[str, dict[str, str]]:
    """An interpreter with this package and the peers, and of each peer that is not there the reason."""
    if PYTHON:
        return PYTHON, {}
    folder = ROOT / ".bench" / "langchain"
    python, missing = folder / "bin" / "python", {}
    if not python.exists():
        folder.parent.mkdir(exist_ok=True)
        install(folder, "langchain-core")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--editable", str(ROOT)], check=True)
    for name, package in PEERS.items():
        try:
            subprocess.run([python, "-m", "pip", "install", "--quiet", package], check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as problem:
            missing[name] = (problem.stderr.strip().splitlines() or ["pip said nothing"])[-1]
    return str(python), missing


@contextmanager
def upstream() -> Iterator[str]:
    program = Path(sys.executable).with_name("dragoman")
    with subprocess.Popen([program, "demo-upstream", "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            yield line[line.index("http") :].split()[0].removesuffix("/v1") + "/v1"
        finally:
            process.terminate()


def run(python: str, program: str, base: str, calls: int) -> dict[str, float]:
    """Raises Unavailable, with what the program said last."""
    asked = [python, "-c", PRELUDE + program, base, str(calls)]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env["PYTHONPYCACHEPREFIX"] = str(ROOT / ".bench" / "bytecode")
    done = subprocess.run(asked, capture_output=True, text=True, timeout=900, check=False, env=env)
    if done.returncode:
        raise Unavailable((done.stderr.strip().splitlines() or ["it said nothing"])[-1])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(python: str, name: str, base: str, calls: int) -> dict[str, float]:
    """One round of one class."""
    _, load, make = PROGRAMS[name]
    row = run(python, load + LOADED, base, calls)
    if not make:
        return row
    made = run(python, f"{load}\nbegan = cpu()\n{make}{MADE}", base, calls)
    return row | made | run(python, f"{load}\n{make}{MEASURE}", base, calls)


def table(python: str, names: list[str], base: str, chosen: argparse.Namespace) -> dict[str, dict[str, float]]:
    """The medians of the rounds, by class and column. Every class has its turn in every round."""
    rounds = [{name: measured(python, name, base, chosen.calls) for name in names} for _ in range(chosen.rounds)]
    rows = {name: {column: median(found[name][column] for found in rounds) for column in rounds[0][name]} for name in names}
    for row in rows.values():
        row["over_core"] = row["import_ms"] - rows["langchain_core"]["import_ms"]
    return rows


def usable(python: str, base: str, missing: dict[str, str]) -> Iterator[str]:
    """The classes that answer; of each other one the reason is printed. What they load is compiled by this."""
    for name, (peer, load, make) in PROGRAMS.items():
        try:
            if peer in missing:
                raise Unavailable(missing[peer])
            run(python, f"{load}\n{make}{MEASURE if make else LOADED}", base, 1)
        except Unavailable as reason:
            print(f"  {name:<24}not measured: {reason}")
        else:
            yield name


COLUMNS = (
    *("call_us", "acall_us", "chunk_us", "achunk_us", "rss_mb"),
    *("import_ms", "over_core", "modules", "import_rss_mb", "first_ms"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=300)
    chosen = parser.parse_args()
    python, missing = environment()
    print(
        f"CPU microseconds a call and a streamed chunk, sync and async; {chosen.calls} calls, median of {chosen.rounds} rounds"
    )
    print(f"  {'':<24}" + "".join(f"{column:>14}" for column in COLUMNS))
    with upstream() as base:
        rows = table(python, list(usable(python, base, missing)), base, chosen)
    for name, row in rows.items():
        print(f"  {name:<24}" + "".join(f"{row[column]:>14.0f}" if column in row else f"{'-':>14}" for column in COLUMNS))


if __name__ == "__main__":
    main()
