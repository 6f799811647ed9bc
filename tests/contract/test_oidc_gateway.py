"""A gateway that takes the tokens of an identity provider: as keys of the real openai client, and for the admin API."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

import httpx2
import jwt
import openai
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from support.demo_server import RunningDemo
from support.gateway import RunningGateway, gateway
from support.http_server import QuietHandler, running, url_of
from support.requests import until

MASTER = "sk-master-of-this-test"
SIGNER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
STRANGER = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """An identity provider: a document that says where its keys are, and the keys."""
    published = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(SIGNER.public_key())) | {"kid": "one", "use": "sig"}

    class Pages(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802 - the name by which http.server calls it
            url = url_of(self.server)
            known = {
                "/.well-known/openid-configuration": {"issuer": url, "jwks_uri": f"{url}/keys"},
                "/keys": {"keys": [published]},
            }
            self.answer(body=json.dumps(known[self.path]).encode())

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Pages)) as server:
        yield url_of(server)


@pytest.fixture(scope="module")
def served(demo: RunningDemo, issuer: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("oidc")
    config = f"""
models:
  - {{name: echo, model: openai/echo, api_base: '{demo.url}/v1', api_key: k, input_price: 1, output_price: 1}}
server: {{api_key: {MASTER}}}
governance:
  database: 'sqlite:///{folder}/ledger.db'
  journal: '{folder}/journal'
  oidc: {{issuer: '{issuer}', audience: dragoman, team_claim: group, role_claim: role, roles: {{boss: admin}}}}
"""
    with gateway(config) as running:
        yield running


def token(issuer: str, *, key: Any = SIGNER, seconds: float = 600, **claims: Any) -> str:
    said = {"iss": issuer, "aud": "dragoman", "sub": "ada", "exp": time.time() + seconds, **claims}
    return jwt.encode(said, key, algorithm="RS256", headers={"kid": "one"})


def ask(served: RunningGateway, key: str) -> str:
    with openai.OpenAI(base_url=served.openai_url, api_key=key, max_retries=0) as client:
        answer = client.chat.completions.create(model="echo", messages=[{"role": "user", "content": "hello"}])
    return answer.choices[0].message.content


def admin(served: RunningGateway, key: str, method: str, path: str, **body: Any) -> httpx2.Response:
    with httpx2.Client(base_url=served.url, headers={"authorization": f"Bearer {key}"}, timeout=20) as session:
        return session.request(method, path, **body)


def users_of(served: RunningGateway, key: str) -> list[str]:
    rows = admin(served, MASTER, "GET", "/spend/logs").json()
    return [row["user"] for row in rows if row["api_key"] == key]


def test_a_token_is_a_key_and_the_ledger_names_its_user(served: RunningGateway, issuer: str) -> None:
    for _ in range(2):
        assert ask(served, token(issuer, sub="grace")) == "hello"
    until(lambda: users_of(served, "token:grace") == ["grace", "grace"])


def test_its_team_must_be_known_here(served: RunningGateway, issuer: str) -> None:
    with pytest.raises(openai.PermissionDeniedError, match="team 'search' of this token is not known"):
        ask(served, token(issuer, group="search"))
    made = admin(served, MASTER, "POST", "/team/new", json={"team_id": "search", "models": ["another"]})
    assert made.status_code == 200, made.text
    with pytest.raises(openai.PermissionDeniedError, match="may not use the model 'echo'"):
        ask(served, token(issuer, group="search"))


@pytest.mark.parametrize("changes", [{"key": STRANGER}, {"seconds": -60}, {"aud": "another"}, {"iss": "https://else.example"}])
def test_a_token_that_is_not_right_is_no_key(served: RunningGateway, issuer: str, changes: dict[str, Any]) -> None:
    with pytest.raises(openai.AuthenticationError):
        ask(served, token(issuer, **changes))


def test_a_role_says_what_a_token_may_see(served: RunningGateway, issuer: str) -> None:
    assert admin(served, token(issuer, role="boss"), "GET", "/spend/logs").status_code == 200
    assert admin(served, token(issuer), "GET", "/audit").status_code == 403
