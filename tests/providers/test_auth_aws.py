"""The AWS authorizer: its signatures are botocore's, its keys come from botocore's chain, and nobody waits on an event loop."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from dragoman.core.errors import AuthenticationError, ConfigurationError
from dragoman.core.http import HttpRequest, header
from dragoman.providers.auth.aws import AwsAuthorizer
from dragoman.providers.base import Target
from dragoman.providers.registry import resolve
from support.http_server import running, url_of

botocore_auth = pytest.importorskip("botocore.auth")
botocore_session = pytest.importorskip("botocore.session")
AWSRequest = pytest.importorskip("botocore.awsrequest").AWSRequest

ACCESS, SECRET, TOKEN = "AKIDEXAMPLE", "a-secret-that-nobody-shows", "a-session-token"
URL = "https://bedrock-runtime.eu-west-1.amazonaws.com/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"
ARN_URL = "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3A%3A1%3Ainference-profile%2Fx/converse"
NOW = 1_700_000_000.0


@pytest.fixture(autouse=True)
def _no_aws_here(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Nothing of the machine that runs the tests: no variables, no files, no instance metadata."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def session(token: str | None = None):
    made = botocore_session.Session()
    made.set_credentials(ACCESS, SECRET, token)
    return made


def target(env: dict[str, str] | None = None) -> Target:
    return resolve("bedrock/m", env=env or {})


def request(url: str = URL, body: bytes = b'{"messages":[]}') -> HttpRequest:
    headers = (("content-type", "application/json"), ("accept", "application/json"), ("user-agent", "dragoman"))
    return HttpRequest(method="POST", url=url, headers=headers, body=body)


# -------------------------------------------------------------------------------------------------------------- signature
@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize(("url", "region"), [(URL, "eu-west-1"), (ARN_URL, "us-east-1"), (URL + "?b=2&a=%20x", "eu-west-1")])
@pytest.mark.parametrize("body", [b"", b'{"messages":[]}', "ü\n".encode()])
def test_the_signature_is_botocores_own(url: str, region: str, body: bytes, token: str | None):
    """botocore signs for the time at which it is asked; we are then given that time."""
    theirs = AWSRequest(method="POST", url=url, data=body, headers={"content-type": "application/json"})
    botocore_auth.SigV4Auth(session(token).get_credentials(), "bedrock", region).add_auth(theirs)
    stamp = theirs.headers["X-Amz-Date"]
    now = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()

    ours = AwsAuthorizer(session(token)).authorize(request(url, body), target(), now)
    assert header(ours.headers, "authorization") == theirs.headers["Authorization"]
    assert header(ours.headers, "x-amz-date") == stamp
    assert header(ours.headers, "x-amz-security-token") == token
    assert (ours.url, ours.body, ours.method) == (url, body, "POST")
    assert ours.headers[:3] == request().headers


def test_signing_again_replaces_the_old_signature():
    authorizer = AwsAuthorizer(session(TOKEN))
    once = authorizer.authorize(request(), target(), NOW)
    again = authorizer.authorize(once, target(), NOW + 60)
    assert again == authorizer.authorize(request(), target(), NOW + 60)
    assert again != once


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bedrock-runtime-fips.us-east-2.amazonaws.com", "us-east-2"),
        ("bedrock-runtime.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("vpce-0a1b-x.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com", "ap-southeast-2"),
    ],
)
def test_the_region_is_that_of_the_host(host: str, region: str):
    signed = AwsAuthorizer(session()).authorize(request(f"https://{host}/model/m/converse"), target(), NOW)
    assert f"/20231114/{region}/bedrock/aws4_request" in header(signed.headers, "authorization")


def test_a_host_without_a_region_is_signed_for_the_configured_one(monkeypatch: pytest.MonkeyPatch):
    elsewhere = request("https://proxy.example/model/m/converse")
    with pytest.raises(ConfigurationError, match="set AWS_DEFAULT_REGION"):
        AwsAuthorizer(session()).authorize(elsewhere, target(), NOW)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "sa-east-1")
    signed = AwsAuthorizer(session()).authorize(elsewhere, target(), NOW)
    assert "/sa-east-1/bedrock/" in header(signed.headers, "authorization")


def test_the_secret_is_shown_nowhere():
    signed = AwsAuthorizer(session(TOKEN)).authorize(request(), target(), NOW)
    assert SECRET not in repr(signed)
    assert TOKEN not in repr(signed)
    assert SECRET not in str(signed.headers)


# ------------------------------------------------------------------------------------------------------------------- keys
def test_keys_of_the_environment_are_taken_and_kept(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    authorizer = AwsAuthorizer()
    assert not authorizer.ready(target(), NOW), "the chain may read files, so not on an event loop"
    signed = authorizer.authorize(request(), target(), NOW)
    assert f"Credential={ACCESS}/" in header(signed.headers, "authorization")
    assert authorizer.ready(target(), NOW)


def test_without_any_the_error_says_what_to_set():
    authorizer = AwsAuthorizer()
    with pytest.raises(AuthenticationError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") as caught:
        authorizer.authorize(request(), target(), NOW)
    assert (caught.value.llm_provider, caught.value.attempts) == ("bedrock", 0)
    assert not authorizer.ready(target(), NOW), "they may come yet"


def test_a_profile_that_is_not_there_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(AuthenticationError, match="nobody"):
        AwsAuthorizer().authorize(request(), target(), NOW)


def test_without_botocore_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "botocore.session", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'dragoman\[aws\]'"):
        AwsAuthorizer().authorize(request(), target(), NOW)


def test_a_bearer_token_is_a_static_key():
    found = target({"AWS_BEARER_TOKEN_BEDROCK": "bearer-token"})
    assert (found.api_key, found.provider.auth) == ("bearer-token", "bearer")


# ------------------------------------------------------------------------------------------------- credentials of a container
class Container(BaseHTTPRequestHandler):
    """The metadata service of a container: keys that end after `lasting`."""

    lasting = timedelta(hours=6)
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        ends = (datetime.now(UTC) + self.lasting).strftime("%Y-%m-%dT%H:%M:%SZ")
        keys = {"AccessKeyId": f"{ACCESS}{self.asked}", "SecretAccessKey": SECRET, "Token": TOKEN, "Expiration": ends}
        body = json.dumps(keys).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def container(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Container]]:
    handler = type("OneContainer", (Container,), {})
    with running(HTTPServer(("127.0.0.1", 0), handler)) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{url_of(server)}/keys")
        yield handler


def test_a_role_gives_keys_that_are_fetched_once(container: type[Container]):
    authorizer = AwsAuthorizer()
    signed = [authorizer.authorize(request(), target(), NOW) for _ in range(3)]
    assert container.asked == 1
    assert authorizer.ready(target(), NOW)
    assert header(signed[-1].headers, "x-amz-security-token") == TOKEN


def test_keys_that_end_soon_are_renewed_before(container: type[Container]):
    container.lasting = timedelta(minutes=12)
    authorizer = AwsAuthorizer()
    authorizer.authorize(request(), target(), NOW)
    assert not authorizer.ready(target(), NOW), "to be renewed in a thread"
    container.lasting = timedelta(hours=6)
    signed = authorizer.authorize(request(), target(), NOW)
    assert f"Credential={ACCESS}{container.asked}/" in header(signed.headers, "authorization")
    assert authorizer.ready(target(), NOW)


def test_keys_that_a_target_brings_go_before_all_that_the_machine_has(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "OTHER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "other")
    brought = {"aws_access_key_id": ACCESS, "aws_secret_access_key": SECRET, "aws_session_token": TOKEN}
    own = resolve("bedrock/m", env={"AWS_BEARER_TOKEN_BEDROCK": "not-for-this-one"}, secrets=brought)
    assert own.api_key is None
    assert SECRET not in repr(own)
    authorizer = AwsAuthorizer()
    assert not authorizer.ready(own, NOW), "the library is not loaded on an event loop"
    assert authorizer.authorize(request(), own, NOW) == AwsAuthorizer(session(TOKEN)).authorize(request(), target(), NOW)
    assert authorizer.ready(own, NOW)
    assert "Credential=OTHER/" in header(authorizer.authorize(request(), target(), NOW).headers, "authorization")
