"""The gateway as a plain ASGI app, for people who host it their own way: `uvicorn dragoman.gateway.asgi:app`.

`DRAGOMAN_CONFIG` names the configuration file. The handlers are those of `dragoman serve`; only the server differs.
"""

from __future__ import annotations

import os

from dragoman.gateway.app import build
from dragoman.gateway.asgi_exchange import asgi_app

_gateway = build(os.environ.get("DRAGOMAN_CONFIG") or None)
app = asgi_app(_gateway.routes, _gateway.app, _gateway.limits)
