"""The import lines of old programs, which work when a program asks for it, and never over an installed package."""

from __future__ import annotations

import subprocess
import sys

import pytest

LINES = """
from langchain_litellm import ChatLiteLLM, ChatLiteLLMRouter, LiteLLMEmbeddings
from langchain_litellm.chat_models import ChatLiteLLM
from langchain_community.chat_models import GPTRouter, ChatLiteLLM
from langchain_community.chat_models.gpt_router import GPTRouterModel
import langchain_community.chat_models.gpt_router as module
from litellm import Router
import litellm
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)


def test_old_import_lines_mean_our_classes() -> None:
    program = f"""
import dragoman.langchain as ours
made = ours.install_aliases(litellm=True)
assert made == ours.install_aliases(litellm=True), "may be called again"
{LINES}
assert ChatLiteLLM is ours.ChatLiteLLM and GPTRouter is ours.GPTRouter and module.GPTRouterModel is ours.GPTRouterModel
print(ChatLiteLLM(model="demo/echo").invoke("hello").content)
"""
    done = run(program)
    assert (done.stdout, done.stderr) == ("hello\n", "")


def test_nothing_is_aliased_by_an_import() -> None:
    done = run("import dragoman.langchain; dragoman.langchain.ChatLiteLLM\nimport langchain_litellm")
    assert "ModuleNotFoundError: No module named 'langchain_litellm'" in done.stderr


def test_an_installed_package_stays() -> None:
    program = """
import sys, types
real = types.ModuleType("langchain_litellm"); sys.modules["langchain_litellm"] = real
import dragoman.langchain
made = dragoman.langchain.install_aliases()
print(sys.modules["langchain_litellm"] is real, [name for name in made if name.startswith("langchain_litellm")])
"""
    assert run(program).stdout == "True []\n"


def test_a_name_that_was_never_there_is_an_error() -> None:
    done = run("import dragoman.langchain as d; d.install_aliases()\nfrom langchain_litellm import ChatNobody")
    assert "cannot import name 'ChatNobody'" in done.stderr


@pytest.mark.parametrize("name", ["ChatNobody", "chat_nobody"])
def test_the_face_itself_names_what_it_has(name: str) -> None:
    import dragoman.langchain

    with pytest.raises(AttributeError, match="it has: ChatLiteLLM"):
        getattr(dragoman.langchain, name)


def test_init_chat_model_knows_our_prefix_when_told() -> None:
    pytest.importorskip("langchain.chat_models")
    done = run(
        """
from dragoman.langchain import register_init_chat_model
from langchain.chat_models import init_chat_model
register_init_chat_model()
print(init_chat_model("dragoman:demo/echo", temperature=0).invoke("hello").content)
"""
    )
    assert done.stdout == "hello\n", done.stderr


def test_without_langchain_the_prefix_cannot_be_registered() -> None:
    program = """
import sys
sys.modules["langchain.chat_models.base"] = type(sys)("langchain.chat_models.base")
sys.modules["langchain"] = sys.modules["langchain.chat_models"] = type(sys)("langchain")
from dragoman.langchain import register_init_chat_model
register_init_chat_model()
"""
    assert "pass ChatLiteLLM(model=...) instead of a name" in run(program).stderr
