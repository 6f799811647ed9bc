"""`install_aliases()`: old import lines work unchanged, because the program asked for it.

    import dragoman.langchain; dragoman.langchain.install_aliases()
    from langchain_litellm import ChatLiteLLM
    from langchain_community.chat_models.gpt_router import GPTRouter, GPTRouterModel

Never done by importing anything, and never over a package that is installed: then the real one would be half replaced.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_CHAT = ("dragoman.langchain", ("ChatLiteLLM", "ChatLiteLLMRouter"))
_GPTROUTER = ("dragoman.langchain", ("GPTRouter", "GPTRouterModel"))
_EMBEDDINGS = ("dragoman.langchain", ("LiteLLMEmbeddings", "LiteLLMEmbeddingsRouter"))

MODULES: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "langchain_litellm": (_CHAT, _EMBEDDINGS),
    "langchain_litellm.chat_models": (_CHAT,),
    "langchain_litellm.embeddings": (_EMBEDDINGS,),
    "langchain_community": (),
    "langchain_community.chat_models": (("dragoman.langchain", ("ChatLiteLLM", "ChatLiteLLMRouter", "GPTRouter")),),
    "langchain_community.chat_models.gpt_router": (_GPTROUTER,),
    "langchain_community.chat_models.litellm": (("dragoman.langchain", ("ChatLiteLLM",)),),
    "langchain_community.chat_models.litellm_router": (("dragoman.langchain", ("ChatLiteLLMRouter",)),),
}
"""Module that is offered -> where its names come from."""


def install_aliases(*, litellm: bool = False) -> tuple[str, ...]:
    """Offer our classes under the modules they had; returns the modules that are ours now.

    A top-level package that is installed keeps all its modules. `litellm=True` makes `import litellm` mean `dragoman`. May be
    called again. Raises nothing.
    """
    installed = {name for name in ("langchain_litellm", "langchain_community", "litellm") if _is_installed(name)}
    made = [name for name in MODULES if name.partition(".")[0] not in installed]
    for name in made:
        _offer(name, MODULES[name])
    if litellm and "litellm" not in installed:
        sys.modules["litellm"] = import_module("dragoman")
        made.append("litellm")
    return tuple(made)


def _is_installed(name: str) -> bool:
    found = sys.modules.get(name)
    if found is not None:
        return not isinstance(found, _Alias) and found.__name__ != "dragoman"
    return find_spec(name) is not None


def register_init_chat_model() -> None:
    """Let `init_chat_model("dragoman:openai/gpt-4o")` and `create_agent("dragoman:...")` make a ChatLiteLLM.

    LangChain has no hook for that, so this writes into a table of its own; raises ImportError where `langchain` is not
    installed or keeps that table elsewhere. A model that is passed as an object needs none of it.
    """
    table: Any = getattr(import_module("langchain.chat_models.base"), "_BUILTIN_PROVIDERS", None)
    row = table.get("litellm") if isinstance(table, dict) else None
    if not isinstance(row, tuple) or len(row) != _ROW:
        raise ImportError("this version of langchain has no table of providers: pass ChatLiteLLM(model=...) instead of a name")
    table["dragoman"] = ("dragoman.langchain", "ChatLiteLLM", row[-1])


_ROW = 3
"""(module, class, what makes an object of it)"""


class _Alias(ModuleType):
    """A module of ours under another's name; its names are made when they are first asked for."""

    def __init__(self, name: str, sources: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        super().__init__(name, f"An alias that dragoman.langchain.install_aliases() made for {name}.")
        self.__path__: list[str] = []
        self._homes = {attribute: home for home, attributes in sources for attribute in attributes}
        self.__all__ = sorted(self._homes)

    def __getattr__(self, name: str) -> object:
        homes: dict[str, str] = self.__dict__.get("_homes", {})
        if name not in homes:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}; it has: {', '.join(homes)}")
        found: object = getattr(import_module(homes[name]), name)
        return found


def _offer(name: str, sources: Iterable[tuple[str, tuple[str, ...]]]) -> None:
    if isinstance(sys.modules.get(name), _Alias):
        return
    module = _Alias(name, sources)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], child, module)
