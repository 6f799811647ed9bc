"""Our classes known to `langchain_core.load`, so that `loads` takes back what `dumps` wrote.

LangChain has no hook for that but a table. Where a version of it keeps the table elsewhere, loading still works with
`allowed_objects=[ChatLiteLLM]` and `valid_namespaces=["dragoman"]`. Called once by each module that defines such a class.
"""

from __future__ import annotations

import sys
from typing import Any


def register(cls: type[Any]) -> None:
    """Enter the class under its own path."""
    path = (*cls.__module__.split("."), cls.__name__)
    for module, table in (
        ("langchain_core.load.mapping", "SERIALIZABLE_MAPPING"),
        ("langchain_core.load.load", "ALL_SERIALIZABLE_MAPPINGS"),
    ):
        held = getattr(sys.modules.get(module), table, None)
        if isinstance(held, dict):
            held[path] = path
    cache = getattr(sys.modules.get("langchain_core.load.load"), "_default_class_paths_cache", None)
    if isinstance(cache, dict):
        cache.clear()
