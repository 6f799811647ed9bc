"""The Azure authorizer: a token of the identity, fetched once and kept until shortly before it ends. And Azure's addresses."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest

from dragoman.core import json as codec
from dragoman.core.errors import AuthenticationError, ConfigurationError
from dragoman.core.http import HttpRequest, header
from dragoman.engine.call import Call
from dragoman.engine.prepare import prepare
from dragoman.providers.auth.azure import SCOPE, AzureAuthorizer
from dragoman.providers.base import Target
from dragoman.providers.registry import resolve
from dragoman.router.deployment import Deployment
from support.http_server import running, url_of
from support.recordings import exchanges

azure_identity = pytest.importorskip("azure.identity")
ClientAuthenticationError = pytest.importorskip("azure.core.exceptions").ClientAuthenticationError

BASE = "https://mine.openai.azure.com"
NOW = 1_700_000_000.0


class Token(NamedTuple):
    token: str
    expires_on: int


class Identity:
    """A credential as azure-identity's are: a token for an hour, another each time."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get_token(self, scope: str) -> Token:
        self.asked.append(scope)
        return Token(f"token-{len(self.asked)}", int(NOW) + 3600 * len(self.asked))


class NoIdentity:
    def get_token(self, _: str) -> Token:
        raise ClientAuthenticationError("no identity is assigned")


def target(env: dict[str, str] | None = None, name: str = "azure/gpt-4o") -> Target:
    return resolve(name, env={"AZURE_API_BASE": BASE, **(env or {})})


REQUEST = HttpRequest(method="POST", url=BASE, headers=(("content-type", "application/json"),), body=b"{}")


# ------------------------------------------------------------------------------------------------------------------ tokens
def test_a_token_is_kept_until_shortly_before_it_ends():
    identity = Identity()
    authorizer = AzureAuthorizer(identity)
    assert not authorizer.ready(target(), NOW)
    for moment in (NOW, NOW + 10, NOW + 3299):
        signed = authorizer.authorize(REQUEST, target(), moment)
        assert signed.headers == (*REQUEST.headers, ("authorization", "Bearer token-1"))
        assert authorizer.ready(target(), moment)
    assert not authorizer.ready(target(), NOW + 3300)
    assert header(authorizer.authorize(REQUEST, target(), NOW + 3300).headers, "authorization") == "Bearer token-2"
    assert identity.asked == [SCOPE, SCOPE]


def test_a_refusal_says_what_to_set():
    with pytest.raises(AuthenticationError, match="no identity is assigned: set AZURE_API_KEY or AZURE_AD_TOKEN") as caught:
        AzureAuthorizer(NoIdentity()).authorize(REQUEST, target(), NOW)
    assert (caught.value.llm_provider, caught.value.attempts) == ("azure", 0)


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'dragoman\[azure\]'"):
        AzureAuthorizer().authorize(REQUEST, target(), NOW)


class Metadata(BaseHTTPRequestHandler):
    """The identity endpoint of an App Service."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.headers["x-identity-header"])
        body = json.dumps(
            {"access_token": "from-the-service", "expires_on": str(int(time.time()) + 3600), "token_type": "Bearer"}
        ).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def app_service(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Metadata]]:
    handler = type("OneService", (Metadata,), {"asked": []})
    with running(HTTPServer(("127.0.0.1", 0), handler)) as server:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url_of(server)}/token")
        monkeypatch.setenv("IDENTITY_HEADER", "proof")
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")
        yield handler


def test_a_managed_identity_gives_a_token(app_service: type[Metadata]):
    credential = azure_identity.DefaultAzureCredential()
    signed = AzureAuthorizer(credential).authorize(REQUEST, target(), time.time())
    credential.close()
    assert header(signed.headers, "authorization") == "Bearer from-the-service"
    assert app_service.asked == ["proof"]


# ---------------------------------------------------------------------------------------------------------------- addresses
CLASSIC = "/openai/deployments/{}/chat/completions?api-version={}"
BEDROCK = "https://bedrock-runtime.us-east-1.amazonaws.com/model"
ADDRESSES = [
    ("azure/gpt-4o", {}, BASE + CLASSIC.format("gpt-4o", "2024-10-21")),
    ("azure/my dep", {"AZURE_API_VERSION": "2025-01-01-preview"}, BASE + CLASSIC.format("my%20dep", "2025-01-01-preview")),
    ("azure/gpt-4o", {"AZURE_API_BASE": BASE + "/openai/v1/"}, BASE + "/openai/v1/chat/completions"),
    (
        "azure_ai/m",
        {"AZURE_AI_API_BASE": "https://r.services.ai.azure.com"},
        "https://r.services.ai.azure.com/openai/v1/chat/completions",
    ),
    (
        "azure_ai/m",
        {"AZURE_AI_API_BASE": "https://r.services.ai.azure.com/models"},
        "https://r.services.ai.azure.com/models/chat/completions?api-version=2024-05-01-preview",
    ),
    ("azure_anthropic/c", {"ANTHROPIC_FOUNDRY_RESOURCE": "r"}, "https://r.services.ai.azure.com/anthropic/v1/messages"),
    ("bedrock/a.b-v1:0", {}, f"{BEDROCK}/a.b-v1%3A0/converse"),
    ("bedrock/a", {"AWS_REGION": "eu-west-3"}, "https://bedrock-runtime.eu-west-3.amazonaws.com/model/a/converse"),
    (
        "bedrock/arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude",
        {},
        f"{BEDROCK}/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Ainference-profile%2Fus.anthropic.claude/converse",
    ),
    ("us.anthropic.claude-x", {}, f"{BEDROCK}/us.anthropic.claude-x/converse"),
    ("bedrock/invoke/us.anthropic.c", {}, f"{BEDROCK}/us.anthropic.c/invoke"),
    ("bedrock/converse/us.anthropic.c", {}, f"{BEDROCK}/us.anthropic.c/converse"),
]


@pytest.mark.parametrize(("name", "env", "url"), ADDRESSES, ids=[url for _, _, url in ADDRESSES])
def test_the_request_goes_to(name: str, env: dict[str, str], url: str):
    prepared = prepared_for(name, env)
    assert prepared.request.url == url
    assert not prepared.authorized, "without a key an authorizer puts the credentials on"
    assert header(prepared.request.headers, "authorization") is None


@pytest.mark.parametrize(
    ("name", "env", "pair"),
    [
        ("azure/m", {"AZURE_API_KEY": "key"}, ("api-key", "key")),
        ("azure/m", {"AZURE_AD_TOKEN": "token"}, ("authorization", "Bearer token")),
        ("azure_ai/m", {"AZURE_AI_API_BASE": BASE, "AZURE_AI_API_KEY": "key"}, ("api-key", "key")),
        ("bedrock/m", {"AWS_BEARER_TOKEN_BEDROCK": "token"}, ("authorization", "Bearer token")),
    ],
)
def test_a_key_goes_before_the_identity(name: str, env: dict[str, str], pair: tuple[str, str]):
    prepared = prepared_for(name, env)
    assert prepared.authorized
    assert pair in prepared.request.headers


def prepared_for(name: str, env: dict[str, str], operation: str = "chat"):
    found = resolve(name, env={"AZURE_API_BASE": BASE, **env})
    said = {"chat": {"messages": [{"role": "user", "content": "hi"}]}, "embedding": {"input": "hi"}}[operation]
    dialect = {"chat": "openai_chat", "embedding": "openai_embeddings"}[operation]
    deployment = Deployment(id="d", target=found)
    body = codec.encode({"model": name, **said})
    call = Call(operation=operation, dialect=dialect, model=name, body=body, deployments=(deployment,))
    return prepare(call, deployment)


# ---------------------------------------------------------------------------------------------------------------- recordings
OTHERWISE = {
    "azure-chat-error_404-01d92f24": "the client forgot the path of the deployment, which is what the 404 is about",
    "azure-chat-reasoning-a48fbf72": "the version of the API was not recorded",
}
RECORDED = {
    entry.load().data["request"]["url"]
    for kind in ("chat", "embeddings")
    for entry in exchanges(kind, provider="azure")
    if entry.id not in OTHERWISE
}


@pytest.mark.parametrize("url", sorted(RECORDED))
def test_the_address_is_the_recorded_one(url: str):
    """From what a user would have configured: the resource, and the version of the API where there is one."""
    parts = urlsplit(url)
    version = parse_qs(parts.query).get("api-version", ["none"])[0]
    operation = "embedding" if parts.path.endswith("embeddings") else "chat"
    model, base = "m", f"https://{parts.netloc}{parts.path.removesuffix('/chat/completions').removesuffix('/embeddings')}"
    if "/deployments/" in base:
        base, _, model = base.partition("/openai/deployments/")
    row = "azure_ai" if base.endswith("/models") else "azure"
    env = {"AZURE_API_BASE": base, "AZURE_AI_API_BASE": base, "AZURE_API_VERSION": version, "AZURE_AI_API_VERSION": version}
    assert prepared_for(f"{row}/{model}", env, operation).request.url == url.replace("com//", "com/")
