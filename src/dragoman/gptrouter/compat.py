"""Programs written for `gpt_router`, unchanged: `install()` makes that name stand for `dragoman.gptrouter`. Only if asked to.

import dragoman.gptrouter.compat
dragoman.gptrouter.compat.install()
from gpt_router.client import GPTRouterClient
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec

NAME = "gpt_router"
MODULES = ("client", "models", "enums", "exceptions", "constants")


def install(*, replace: bool = False) -> None:
    """Raises ImportError where a package of that name is installed and is not to be replaced."""
    ours = import_module("dragoman.gptrouter")
    if sys.modules.get(NAME) is ours:
        return
    if not replace and (NAME in sys.modules or find_spec(NAME) is not None):
        raise ImportError(f"a package {NAME} is installed: uninstall it, or call install(replace=True)")
    sys.modules[NAME] = ours
    for module in MODULES:
        sys.modules[f"{NAME}.{module}"] = import_module(f"dragoman.gptrouter.{module}")
