"""A served gateway with keys, in front of the demo provider, for tests that ask it with keys of their own.

with keyed_gateway(folder, "  - {name: echo, model: openai/echo, AT}") as keyed:
    keyed.ask("POST", "/v1/chat/completions", {...}, key=keyed.issue(rpm_limit=1))
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from support.demo_server import demo_server
from support.gateway import RunningGateway, gateway

MASTER = "sk-master-of-this-test"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Told(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def value(self) -> Any:
        return json.loads(self.body)


class KeyedGateway:
    def __init__(self, served: RunningGateway) -> None:
        self.served = served

    def ask(self, method: str, path: str, body: Any = None, key: str = MASTER, **headers: str) -> Told:
        data = None if body is None else json.dumps(body).encode()
        shown = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        shown |= {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.served.url + path, data=data, headers=shown, method=method)
        try:
            with DIRECT.open(request, timeout=20) as answer:
                return Told(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as refused:
            return Told(refused.code, refused.headers, refused.read())

    def chat(self, key: str, model: str, **body: Any) -> Told:
        messages = [{"role": "user", "content": "hello"}]
        return self.ask("POST", "/v1/chat/completions", {"model": model, "messages": messages, "max_tokens": 9, **body}, key)

    def issue(self, **terms: Any) -> str:
        """A new key."""
        found: str = self.made("/key/generate", **terms)["key"]
        return found

    def made(self, path: str, **terms: Any) -> Any:
        """What the admin's request comes to."""
        told = self.ask("POST", path, terms)
        assert told.status == 200, told.body
        return told.value


@contextmanager
def keyed_gateway(folder: Path, models: str, more: str = "") -> Iterator[KeyedGateway]:
    """`models` are lines of YAML, in which AT stands for where the demo provider is; `more` follows `governance`'s own keys."""
    with demo_server() as demo:
        at = f"api_base: '{demo.url}/v1', api_key: k"
        yaml = f"""
models:
{models.replace("AT", at)}
retries: 0
server: {{api_key: {MASTER}, drain_seconds: 1}}
governance:
  database: 'sqlite:///{folder}/ledger.db'
  journal: '{folder}/journal'
{more}"""
        with gateway(yaml) as running:
            yield KeyedGateway(running)
