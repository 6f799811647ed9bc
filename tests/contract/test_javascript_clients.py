"""LangChain.js and the `openai` client from npm, unchanged, against the gateway: what `tests/js/clients.mjs` does.

The packages are those of its lock file, put once into the user's cache. Without node, or without a way to npm's registry
outside of CI, nothing is run and the reason is told.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import pytest

from support.demo_server import RunningDemo
from support.gateway import demo_config, gateway
from support.local_model import local_weights

PROGRAM = Path(__file__).parent.parent / "js"
LOCAL = "local/smollm2-135m"


@pytest.fixture(scope="module")
def packages() -> Path:
    """A folder with the program and its packages."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not installed")
    digest = sha256((PROGRAM / "package-lock.json").read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "dragoman-tests" / f"js-{digest}"
    done = folder / "installed"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(PROGRAM / name, folder)
        run = subprocess.run(["npm", "ci"], cwd=folder, capture_output=True, text=True, timeout=600, check=False)
        if run.returncode:
            if os.environ.get("CI"):
                pytest.fail(run.stderr)
            pytest.skip(f"npm ci: {run.stderr.strip().splitlines()[0]}")
        done.touch()
    shutil.copy(PROGRAM / "clients.mjs", folder)
    return folder


def run(folder: Path, *arguments: str) -> list[str]:
    """What the program prints: a line for each check."""
    done = subprocess.run(
        ["node", "clients.mjs", *arguments], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    return done.stdout.splitlines() or [f"FAILED  {done.stderr}"]


def failed(results: list[str]) -> list[str]:
    return [line for line in results if not line.startswith("ok ")]


def test_every_client_on_the_demo_upstream(packages: Path, demo: RunningDemo) -> None:
    with gateway(demo_config(demo.url)) as running:
        results = run(packages, running.url, "sk-client")
    assert failed(results) == []
    for client in ("ChatOpenAI", "OpenAIEmbeddings", "ChatAnthropic", "openai"):
        assert any(client in line for line in results)


def test_the_local_model(packages: Path) -> None:
    pytest.importorskip("xllamacpp")
    local_weights()
    with gateway() as running:
        results = run(packages, running.url, "sk-client", LOCAL)
    assert failed(results) == []
    assert len(results) == 3
