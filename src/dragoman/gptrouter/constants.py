"""Where a client asks when nobody tells it, and the environment variables that may."""

from __future__ import annotations

DEFAULT_API_BASE_URL = "http://127.0.0.1:4000"
"""The usual address of `dragoman serve`. The host that the official client names by itself is private."""

BASE_VARIABLES = ("GPT_ROUTER_API_BASE",)
KEY_VARIABLES = ("GPT_ROUTER_API_KEY", "GPT_ROUTER_API_TOKEN")
