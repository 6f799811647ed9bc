"""LangChain's face of Dragoman: chat models and embeddings for any provider, a router, or a GPTRouter gateway.

    from dragoman.langchain import ChatLiteLLM
    ChatLiteLLM(model="openai/gpt-4o-mini", temperature=0.1).invoke("hello")

The classes carry the names of `langchain_litellm` and of GPTRouter's class, so that a program changes its import line only;
`install_aliases()` keeps even that. Needs `langchain-core`: pip install 'dragoman[langchain]'.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if find_spec("langchain_core") is None:
    raise ImportError("dragoman.langchain needs langchain-core: pip install 'dragoman[langchain]'")

if TYPE_CHECKING:
    from dragoman.langchain.aliases import install_aliases as install_aliases
    from dragoman.langchain.aliases import register_init_chat_model as register_init_chat_model
    from dragoman.langchain.chat import ChatLiteLLM as ChatLiteLLM
    from dragoman.langchain.embeddings import LiteLLMEmbeddings as LiteLLMEmbeddings
    from dragoman.langchain.embeddings import LiteLLMEmbeddingsRouter as LiteLLMEmbeddingsRouter
    from dragoman.langchain.gptrouter import GPTRouter as GPTRouter
    from dragoman.langchain.gptrouter import GPTRouterModel as GPTRouterModel
    from dragoman.langchain.gptrouter_decisions import GPTRouterDecisionModel as GPTRouterDecisionModel
    from dragoman.langchain.router import ChatLiteLLMRouter as ChatLiteLLMRouter

_HOME_OF = {
    "ChatLiteLLM": "chat",
    "ChatLiteLLMRouter": "router",
    "GPTRouter": "gptrouter",
    "GPTRouterDecisionModel": "gptrouter_decisions",
    "GPTRouterModel": "gptrouter",
    "LiteLLMEmbeddings": "embeddings",
    "LiteLLMEmbeddingsRouter": "embeddings",
    "install_aliases": "aliases",
    "register_init_chat_model": "aliases",
}

__all__ = sorted(_HOME_OF)  # noqa: PLE0605 - a list of names, made from the table above


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'dragoman.langchain' has no attribute {name!r}; it has: {', '.join(__all__)}")
    value = globals()[name] = getattr(import_module(f"dragoman.langchain.{home}"), name)
    return value


def __dir__() -> list[str]:
    return __all__
