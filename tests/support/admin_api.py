"""The admin API in this process, without a server: what is asked of it, and what it answers."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import httpx2
from starlette.applications import Starlette

from dragoman.catalog.cost import Cost
from dragoman.core.chat import Usage
from dragoman.gateway.admin import routes
from dragoman.gateway.admin.desk import Desk
from dragoman.gateway.stored.sealing import Sealing
from dragoman.gateway.stored.serving import StoredModels
from dragoman.router.model_list import ModelList
from dragoman.router.policy import Policy
from support.governing import NOW, call, facts, header

MASTER = "sk-master-key-0123456789"
ENCRYPTION_KEY = urlsafe_b64encode(b"k" * 32).decode()
SEALING = Sealing((ENCRYPTION_KEY,))


class Api:
    """The API in this process, and a clock that stands still until told."""

    def __init__(
        self,
        governance: Any,
        shipping: Any,
        *,
        models: ModelList | None = None,
        sealing: Sealing | None = SEALING,
        env: dict[str, str] | None = None,
    ) -> None:
        self.governance = governance
        self.shipping = shipping
        self.now = NOW
        self.policy = Policy(models or ModelList())
        self.stored = StoredModels(self.policy, shipping.store, sealing, env or {})
        shipping.watching = self.stored.hear
        self.routes = routes(Desk(governance, shipping, stored=self.stored, clock=lambda: self.now))
        transport = httpx2.ASGITransport(Starlette(routes=self.routes))
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://gateway")

    async def ask(self, method: str, path: str, body: Any = None, *, key: str | None = MASTER, **query: Any) -> Any:
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        return await self.client.request(method, path, json=body, params=query, headers=headers)

    async def post(self, path: str, key: str = MASTER, **body: Any) -> Any:
        answer = await self.ask("POST", path, body, key=key)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def get(self, path: str, key: str = MASTER, **query: Any) -> Any:
        answer = await self.ask("GET", path, key=key, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, status: int, method: str, path: str, body: Any = None, **how: Any) -> dict[str, Any]:
        answer = await self.ask(method, path, body, **how)
        assert answer.status_code == status, answer.text
        error: dict[str, Any] = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return error

    async def spend(self, key: str, dollars: float, **asked: Any) -> None:
        """A call with this key that costs so much."""
        used, now = Usage(input_tokens=3, output_tokens=4), self.now
        nano = round(dollars * 10**9)
        identity = self.governance.identify(header(key), now) or await self.governance.load(header(key), "", now)
        wanted = facts(nano=nano, **asked)
        await self.governance.prepare(identity, wanted, now)
        hold = self.governance.admit(identity, wanted, now)
        self.governance.settle(hold, call(usage=used), used, Cost(nano_dollars=nano), now)
