"""What comes along with the classes: the fewer packages, the fewer that can break them or be poisoned."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

ROOT = Path(__file__).parents[2]
OF_OTHERS = ("litellm", "openai", "anthropic", "tiktoken", "langchain_litellm", "langchain_openai", "langchain_community")

ALONE = f"""
import sys
sys.modules.update(dict.fromkeys({OF_OTHERS}))  # an import of these fails
from dragoman import Router
from dragoman.langchain import ChatLiteLLM, ChatLiteLLMRouter
router = Router(model_list=[{{"model_name": "fast", "litellm_params": {{"model": "demo/echo"}}}}])
for model in (ChatLiteLLM(model="demo/echo"), ChatLiteLLMRouter(router=router)):
    print(model.invoke("hello").content, "".join(chunk.text for chunk in model.stream("hello")))
"""


def test_no_release_of_another_package_can_break_the_classes() -> None:
    """langchain-litellm 18: a new litellm did. Ours are released together with the engine that they stand on."""
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, check=False)
    assert done.stdout == "hello hello\n" * 2, done.stderr


LIGHT = """
import sys
from dragoman.langchain import ChatLiteLLM
heavy = "dragoman.client.functions", "dragoman.engine.flow", "dragoman.catalog.lookup", "dragoman.dialects.openai_chat"
print([name for name in heavy if name in sys.modules])
ChatLiteLLM(model="demo/echo")
print([name for name in heavy if name not in sys.modules])
"""


def test_an_import_of_a_class_leaves_the_engine_to_its_first_model() -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n" * 2, done.stderr


def needed(*names: str) -> set[str]:
    """The packages that are installed along with these, those of their extras left out."""
    found: set[str] = set()
    ahead = [*names]
    while ahead:
        name = ahead.pop()
        try:
            told = requires(name) or []
        except PackageNotFoundError:  # it is for another system or another Python
            continue
        if name not in found:
            found.add(name)
            ahead += [re.split(r"[^\w.-]", need)[0].lower().replace("_", "-") for need in told if "extra ==" not in need]
    return found


def test_few_packages_come_along() -> None:
    """litellm 24518, langchain-litellm 103 and 384: two packages that many depend on were poisoned."""
    known = {"httpx2", "httpcore2", "h11", "anyio", "idna", "truststore", "msgspec", "typing-extensions"}
    assert needed("dragoman") - {"dragoman"} <= known
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [re.match(r"[\w-]+", need)[0] for need in extras["langchain"]] == ["langchain-core"]  # type: ignore[index]


def test_what_is_tested_is_what_was_locked() -> None:
    """Each package by its exact version and the digests of its files."""
    lines = (ROOT / "requirements" / "langchain.lock").read_text().replace("\\\n", " ").splitlines()
    pinned = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    assert pinned
    assert all("==" in line and "--hash=sha256:" in line for line in pinned)
