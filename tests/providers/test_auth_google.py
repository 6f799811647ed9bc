"""The Google authorizer: tokens of a service account, from a token server on this machine. And the addresses of Google."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from msgspec.structs import replace

from dragoman.core import json as codec
from dragoman.core.errors import AuthenticationError, ConfigurationError
from dragoman.core.http import HttpRequest, header
from dragoman.engine.call import Call
from dragoman.engine.prepare import prepare
from dragoman.providers import auth
from dragoman.providers.auth.google import SCOPE, GoogleAuthorizer
from dragoman.providers.base import Target
from dragoman.providers.registry import resolve
from dragoman.router.deployment import Deployment
from support.http_server import running

pytest.importorskip("google.auth")
pytest.importorskip("urllib3")
jwt = pytest.importorskip("google.auth.jwt")
rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")

REQUEST = HttpRequest(method="POST", url="https://aiplatform.googleapis.com", headers=(("content-type", "application/json"),))
PLACE = {"GOOGLE_CLOUD_PROJECT": "my-project"}


def target(name: str = "vertex_ai/gemini-2.5-flash", **env: str) -> Target:
    return resolve(name, env=env or PLACE)


class TokenServer(ThreadingHTTPServer):
    """Gives token-1, token-2, ... for an hour each; keeps what it was asked. `refuses` makes it say no."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.refuses = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/token"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server: Any = self.server
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        server.asked.append(jwt.decode(form["assertion"][0], verify=False))
        answer = {"access_token": f"token-{len(server.asked)}", "expires_in": 3600, "token_type": "Bearer"}
        refusal = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
        body = json.dumps(refusal if server.refuses else answer).encode()
        self.send_response(400 if server.refuses else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing: pytest's output is for findings."""


@pytest.fixture
def token_server() -> Iterator[TokenServer]:
    with running(TokenServer()) as server:
        yield server


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form).decode()


@pytest.fixture
def account(token_server: TokenServer, private_key: str) -> str:
    """The JSON of a service account whose tokens come from the server."""
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "my-project",
            "private_key_id": "1",
            "private_key": private_key,
            "client_email": "robot@my-project.example",
            "client_id": "1",
            "token_uri": token_server.url,
        }
    )


# ------------------------------------------------------------------------------------------------------------------ tokens
@pytest.mark.parametrize("form", ["the JSON itself", "a path"])
def test_a_service_account_gets_a_token(form: str, account: str, token_server: TokenServer, tmp_path: Path):
    path = tmp_path / "account.json"
    path.write_text(account)
    authorizer = GoogleAuthorizer(env={"VERTEXAI_CREDENTIALS": str(path) if form == "a path" else account})
    signed = authorizer.authorize(REQUEST, target(), time.time())
    assert signed.headers == (*REQUEST.headers, ("authorization", "Bearer token-1"))
    [claims] = token_server.asked
    assert (claims["iss"], claims["scope"]) == ("robot@my-project.example", SCOPE)


def test_the_default_chain_finds_the_file_it_is_told(
    account: str, token_server: TokenServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "account.json"
    path.write_text(account)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    signed = GoogleAuthorizer(env={}).authorize(REQUEST, target(), time.time())
    assert header(signed.headers, "authorization") == "Bearer token-1"
    assert len(token_server.asked) == 1


def test_a_token_is_kept_until_shortly_before_it_ends(account: str, token_server: TokenServer):
    authorizer = GoogleAuthorizer(env={"VERTEXAI_CREDENTIALS": account})
    now = time.time()
    assert not authorizer.ready(target(), now)
    for moment in (now, now + 10, now + 3200):
        assert header(authorizer.authorize(REQUEST, target(), moment).headers, "authorization") == "Bearer token-1"
        assert authorizer.ready(target(), moment)
    assert not authorizer.ready(target(), now + 3310)
    assert header(authorizer.authorize(REQUEST, target(), now + 3310).headers, "authorization") == "Bearer token-2"
    assert len(token_server.asked) == 2


def test_an_account_that_a_target_brings_has_a_token_of_its_own(account: str, token_server: TokenServer):
    authorizer, now = GoogleAuthorizer(env={"VERTEXAI_CREDENTIALS": account}), time.time()
    other = account.replace("robot@", "android@")
    own = resolve("vertex_ai/gemini-2.5-flash", env=PLACE, secrets={"vertex_credentials": other})
    for _ in range(2):
        for asked, token in ((own, "token-1"), (target(), "token-2")):
            assert header(authorizer.authorize(REQUEST, asked, now).headers, "authorization") == f"Bearer {token}"
            assert authorizer.ready(asked, now)
    assert [claims["iss"].partition("@")[0] for claims in token_server.asked] == ["android", "robot"]
    assert not authorizer.ready(replace(own, secrets={"vertex_credentials": account}), now)


def test_a_header_that_was_there_is_replaced(account: str):
    stale = HttpRequest(method="POST", url=REQUEST.url, headers=(("authorization", "Bearer old"),))
    signed = GoogleAuthorizer(env={"VERTEXAI_CREDENTIALS": account}).authorize(stale, target(), time.time())
    assert signed.headers == (("authorization", "Bearer token-1"),)


def test_another_project_that_is_billed_is_named(account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "account.json"
    path.write_text(account)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    monkeypatch.setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "payer")
    signed = GoogleAuthorizer(env={}).authorize(REQUEST, target(), time.time())
    assert header(signed.headers, "x-goog-user-project") == "payer"


def test_threads_share_it(account: str, token_server: TokenServer):
    authorizer = GoogleAuthorizer(env={"VERTEXAI_CREDENTIALS": account})
    now = time.time()
    with ThreadPoolExecutor(8) as pool:
        signed = list(pool.map(lambda _: authorizer.authorize(REQUEST, target(), now), range(24)))
    given = {f"Bearer token-{number + 1}" for number in range(len(token_server.asked))}
    assert {header(request.headers, "authorization") for request in signed} <= given
    assert authorizer.ready(target(), now)


def test_a_refusal_says_what_to_set_and_nothing_of_the_key(account: str, token_server: TokenServer, private_key: str):
    token_server.refuses = True
    with pytest.raises(
        AuthenticationError, match=r"vertex_ai: Google gave no token.*Invalid JWT Signature.*set GOOGLE_"
    ) as caught:
        GoogleAuthorizer(env={"VERTEXAI_CREDENTIALS": account}).authorize(REQUEST, target(), time.time())
    assert (caught.value.llm_provider, caught.value.attempts) == ("vertex_ai", 0)
    assert private_key[40:80] not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"VERTEXAI_CREDENTIALS: .*nowhere\.json cannot be read: No such file"):
        GoogleAuthorizer(env={"VERTEXAI_CREDENTIALS": str(tmp_path / "nowhere.json")}).authorize(REQUEST, target(), 0.0)


def test_broken_json_is_not_shown():
    with pytest.raises(ConfigurationError, match="VERTEXAI_CREDENTIALS: expected a path or the JSON object") as caught:
        GoogleAuthorizer(env={"VERTEXAI_CREDENTIALS": '{"private_key": "secret'}).authorize(REQUEST, target(), 0.0)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "held, message",
    [
        ('{"type": "gdch_service_account"}', "expected a credential of type service_account"),
        ('{"type": "service_account"}', "the credential cannot be read"),
    ],
)
def test_a_credential_that_is_none_is_told(held: str, message: str):
    with pytest.raises(ConfigurationError, match=f"VERTEXAI_CREDENTIALS: {message}"):
        GoogleAuthorizer(env={"VERTEXAI_CREDENTIALS": held}).authorize(REQUEST, target(), 0.0)


def test_the_row_names_it():
    assert target().provider.authorizer == "google"
    assert isinstance(auth.get("google"), GoogleAuthorizer)


# --------------------------------------------------------------------------------------------------------------- addresses
def call(*, stream: bool = False) -> Call:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    return Call(operation="chat", dialect="openai_chat", model="m", deployments=(), body=codec.encode(body), stream=stream)


GLOBAL = "https://aiplatform.googleapis.com/v1/projects/my-project/locations/global"
ADDRESSES = [
    ("vertex_ai/gemini-2.5-flash", {}, False, f"{GLOBAL}/publishers/google/models/gemini-2.5-flash:generateContent"),
    ("vertex/gemini-2.5-pro", {}, True, f"{GLOBAL}/publishers/google/models/gemini-2.5-pro:streamGenerateContent?alt=sse"),
    ("vertex_ai/endpoints/77", {}, False, f"{GLOBAL}/endpoints/77:generateContent"),
    (
        "vertex_ai/claude-sonnet-4-5@20250929",
        {},
        True,
        f"{GLOBAL}/publishers/anthropic/models/claude-sonnet-4-5@20250929:streamRawPredict",
    ),
    (
        "vertex_ai/claude-m",
        {"GOOGLE_CLOUD_LOCATION": "us-east5", "GOOGLE_CLOUD_PROJECT": "my"},
        False,
        "https://us-east5-aiplatform.googleapis.com/v1/projects/my/locations/us-east5/publishers/anthropic/models/claude-m:rawPredict",
    ),
    (
        "vertex_ai/m",
        {"VERTEXAI_LOCATION": "eu", "VERTEXAI_PROJECT": "other"},
        False,
        "https://aiplatform.eu.rep.googleapis.com/v1/projects/other/locations/eu/publishers/google/models/m:generateContent",
    ),
]


@pytest.mark.parametrize("name, env, stream, url", ADDRESSES)
def test_vertex_is_asked_where_its_documentation_says(name: str, env: dict[str, str], stream: bool, url: str):
    place = resolve(name, env={**PLACE, **env})
    prepared = prepare(call(stream=stream), Deployment(id="d", target=place))
    assert prepared.request.url == url
    assert not prepared.authorized
    assert "model" not in codec.decode(prepared.request.body)


def test_vertex_without_a_project_names_the_variable():
    with pytest.raises(ConfigurationError, match=r"vertex_ai needs its project.*VERTEXAI_PROJECT, GOOGLE_CLOUD_PROJECT"):
        resolve("vertex_ai/gemini-2.5-flash", env={})


def test_a_token_of_ones_own_needs_no_identity():
    place = resolve("vertex_ai/gemini-2.5-flash", env={**PLACE, "VERTEXAI_ACCESS_TOKEN": "mine"})
    prepared = prepare(call(), Deployment(id="d", target=place))
    assert prepared.authorized
    assert header(prepared.request.headers, "authorization") == "Bearer mine"


@pytest.mark.parametrize("stream, method", [(False, "generateContent"), (True, "streamGenerateContent?alt=sse")])
def test_ai_studio_is_asked_with_its_key_in_a_header(stream: bool, method: str):
    place = resolve("gemini-2.5-flash", env={"GEMINI_API_KEY": "k"})
    request = prepare(call(stream=stream), Deployment(id="d", target=place)).request
    assert request.url == f"https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:{method}"
    assert header(request.headers, "x-goog-api-key") == "k"
    assert header(request.headers, "authorization") is None
