"""Does the environment send a URL through a proxy? Pure: the environment is an argument. Used to choose the transport.

In doubt the answer is yes: httpx2, which then carries the request, decides for itself and goes direct where it should.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit


def wants_httpx(url: str, env: Mapping[str, str]) -> bool:
    """Whether HTTP_PROXY, HTTPS_PROXY or ALL_PROXY (any case) applies to `url` and NO_PROXY does not clearly lift it."""
    parts = urlsplit(url)
    if not (_variable(env, f"{parts.scheme}_proxy") or _variable(env, "all_proxy")):
        return False
    exceptions = [entry.strip().lower() for entry in _variable(env, "no_proxy").split(",")]
    return "*" not in exceptions and not any(_covers(entry, parts.hostname or "") for entry in exceptions if entry)


def _variable(env: Mapping[str, str], name: str) -> str:
    return env.get(name) or env.get(name.upper()) or ""


def _covers(entry: str, host: str) -> bool:
    """`example.org` and `.example.org` cover the host of that name and those under it."""
    name = entry.lstrip(".")
    return host == name or host.endswith("." + name)
