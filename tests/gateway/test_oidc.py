"""Tokens of an identity provider: only those that it signed, for us, that are not over, say who asks."""

from __future__ import annotations

import asyncio
import json
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from dragoman.core.errors import ConfigurationError, InvalidKeyError, PermissionDeniedError, ServiceUnavailableError
from dragoman.gateway.config import OidcEntry, read
from dragoman.gateway.oidc import LEEWAY_SECONDS, REFETCH_SECONDS, Tokens

NOW = 1_800_000_000.0
ISSUER = "https://login.example/realms/company"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
CLAIMS = {
    "iss": ISSUER,
    "aud": "dragoman",
    "sub": "ada",
    "exp": NOW + 600,
    "groups": ["search"],
    "realm": {"roles": ["boss", "dev"]},
}
ENTRY = OidcEntry(
    issuer=ISSUER,
    audience="dragoman",
    team_claim="groups",
    role_claim="realm.roles",
    roles={"dev": "member", "boss": "admin"},
)


class Issuer:
    """What it publishes, and how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.keys = {"one": RSA, "curve": CURVE}
        self.away = False
        self.name = ISSUER

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        await asyncio.sleep(0)
        if self.away:
            raise OSError("nobody there")
        if url.endswith("/.well-known/openid-configuration"):
            return json.dumps({"issuer": self.name, "jwks_uri": "https://login.example/keys"}).encode()
        return json.dumps({"keys": [_published(key, name) for name, key in self.keys.items()]}).encode()


def _published(key: Any, name: str) -> dict[str, Any]:
    algorithm = jwt.algorithms.RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else jwt.algorithms.ECAlgorithm
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": name, "use": "sig"}


def _token(claims: dict[str, Any] | None = None, key: Any = RSA, kid: str | None = "one", algorithm: str = "RS256") -> bytes:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(CLAIMS if claims is None else claims, key, algorithm=algorithm, headers=headers).encode()


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


async def test_a_token_is_its_user_in_its_team_with_the_furthest_of_its_roles(issuer: Issuer) -> None:
    token = _token()
    digest, found, until = await Tokens(ENTRY, issuer.fetch).key(token, NOW)
    assert (found.kind, found.user, found.team, found.role) == ("key", "ada", "search", "admin")
    assert found.rights == ("inference", "read", "manage")
    assert (digest, until) == (sha256(token).hexdigest(), NOW + 600 + LEEWAY_SECONDS)


async def test_other_algorithms_that_are_allowed(issuer: Issuer) -> None:
    found = (await Tokens(ENTRY, issuer.fetch).key(_token(key=CURVE, kid="curve", algorithm="ES256"), NOW)).scope
    assert found.user == "ada"


@pytest.mark.parametrize(
    ("roles", "role", "rights"),
    [
        (["dev"], "member", ("inference", "read", "manage")),
        (["unheard-of"], "reader", ("inference", "read")),
        ("dev", "member", ("inference", "read", "manage")),
        (None, "reader", ("inference", "read")),
        ([7, {"dev": 1}], "reader", ("inference", "read")),
    ],
)
async def test_roles(issuer: Issuer, roles: Any, role: str, rights: tuple[str, ...]) -> None:
    found = (await Tokens(ENTRY, issuer.fetch).key(_token({**CLAIMS, "realm": {"roles": roles}}), NOW)).scope
    assert (found.role, found.rights) == (role, rights)


async def test_without_a_known_role_it_is_refused_where_that_is_wanted(issuer: Issuer) -> None:
    strict = OidcEntry(issuer=ISSUER, audience="dragoman", role_claim="realm.roles", roles={"root": "admin"}, default_role=None)
    with pytest.raises(PermissionDeniedError, match=r"realm\.roles says: \['boss', 'dev'\]"):
        await Tokens(strict, issuer.fetch).key(_token(), NOW)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"iss": "https://elsewhere.example"}, "issuer"),
        ({"aud": "another"}, "[Aa]udience"),
        ({"exp": None}, "exp"),
        ({"aud": None}, "aud"),
        ({"exp": NOW - LEEWAY_SECONDS}, "expired"),
        ({"exp": "soon"}, "numbers"),
        ({"exp": True}, "numbers"),
        ({"nbf": NOW + LEEWAY_SECONDS + 1}, "not valid yet"),
    ],
)
async def test_a_claim_that_is_wrong_is_refused(issuer: Issuer, changes: dict[str, Any], said: str) -> None:
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}
    with pytest.raises(InvalidKeyError, match=said):
        await Tokens(ENTRY, issuer.fetch).key(_token(claims), NOW)


@pytest.mark.parametrize("changes", [{"exp": NOW - LEEWAY_SECONDS + 1}, {"nbf": NOW + LEEWAY_SECONDS}])
async def test_clocks_may_differ_a_little(issuer: Issuer, changes: dict[str, Any]) -> None:
    assert (await Tokens(ENTRY, issuer.fetch).key(_token({**CLAIMS, **changes}), NOW)).scope.user == "ada"


async def test_a_signature_of_another_or_none_or_by_a_public_key_as_secret_is_refused(issuer: Issuer) -> None:
    public = _published(RSA, "one")["n"]
    forged = [
        _token(key=OTHER),
        jwt.encode(CLAIMS, None, algorithm="none", headers={"kid": "one"}).encode(),
        jwt.encode(CLAIMS, public, algorithm="HS256", headers={"kid": "one"}).encode(),
        _token()[:-6] + b"AAAAAA",
    ]
    tokens = Tokens(ENTRY, issuer.fetch)
    for token in forged:
        with pytest.raises(InvalidKeyError):
            await tokens.key(token, NOW)


async def test_who_lacks_the_claim_that_names_them_is_nobody(issuer: Issuer) -> None:
    with pytest.raises(PermissionDeniedError, match="no claim sub"):
        await Tokens(ENTRY, issuer.fetch).key(_token({**CLAIMS, "sub": ""}), NOW)


async def test_keys_are_fetched_once_and_again_for_one_that_is_new_but_not_for_each_that_is_made_up(issuer: Issuer) -> None:
    tokens = Tokens(ENTRY, issuer.fetch)
    await tokens.key(_token(), NOW)
    await tokens.key(_token(), NOW + 1)
    assert len(issuer.asked) == 2, "where the keys are, and the keys"
    for number in range(5):
        with pytest.raises(InvalidKeyError, match="does not publish"):
            await tokens.key(_token(kid=f"made-up-{number}"), NOW + 2)
    assert len(issuer.asked) == 2
    issuer.keys = {"two": OTHER}
    rotated = await tokens.key(_token(key=OTHER, kid="two"), NOW + REFETCH_SECONDS)
    assert rotated.scope.user == "ada"
    with pytest.raises(InvalidKeyError, match="does not publish"):
        await tokens.key(_token(), NOW + REFETCH_SECONDS)


async def test_tokens_that_come_together_wait_for_the_keys_that_one_of_them_fetches(issuer: Issuer) -> None:
    tokens = Tokens(ENTRY, issuer.fetch)
    found = await asyncio.gather(*(tokens.key(_token({**CLAIMS, "sub": f"user-{number}"}), NOW) for number in range(5)))
    assert [each.scope.user for each in found] == [f"user-{number}" for number in range(5)]
    assert len(issuer.asked) == 2


async def test_an_issuer_that_is_away_harms_nobody_whose_key_is_known(issuer: Issuer) -> None:
    tokens = Tokens(ENTRY, issuer.fetch)
    await tokens.key(_token(), NOW)
    issuer.away = True
    later = {**CLAIMS, "exp": NOW + 9999}
    assert (await tokens.key(_token(later), NOW + 5000)).scope.user == "ada"


async def test_an_issuer_that_was_never_there_is_our_trouble_and_not_the_tokens(issuer: Issuer) -> None:
    issuer.away = True
    tokens = Tokens(ENTRY, issuer.fetch)
    with pytest.raises(ServiceUnavailableError, match="nobody there"):
        await tokens.key(_token(), NOW)
    with pytest.raises(ServiceUnavailableError, match="could not be had"):
        await tokens.key(_token(), NOW + 1)
    assert len(issuer.asked) == 1


async def test_a_document_of_another_issuer_is_not_believed(issuer: Issuer) -> None:
    issuer.name = "https://elsewhere.example"
    with pytest.raises(ServiceUnavailableError, match="calls itself"):
        await Tokens(ENTRY, issuer.fetch).key(_token(), NOW)


async def test_a_token_without_a_key_id_may_use_the_only_key(issuer: Issuer) -> None:
    issuer.keys = {"only": RSA}
    assert (await Tokens(ENTRY, issuer.fetch).key(_token(kid=None), NOW)).scope.user == "ada"


@pytest.mark.parametrize(
    ("key", "looks"),
    [
        (_token(), True),
        (b"sk-abc.def.ghi", False),
        (b"eyJhbGc", False),
        (b"eyJ a.b.c", False),
        (b"eyJa.b.c.d", False),
        (b"", False),
    ],
)
def test_what_looks_like_a_token(issuer: Issuer, key: bytes, looks: bool) -> None:
    assert Tokens(ENTRY, issuer.fetch).recognises(key) is looks


@pytest.mark.parametrize(
    ("issuer_url", "good"),
    [
        (ISSUER, True),
        ("http://localhost:8080/realm", True),
        ("http://127.0.0.1", True),
        ("http://login.example", False),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("http://localhost@login.example", False),
    ],
)
def test_an_issuer_is_asked_over_tls_or_on_this_machine(issuer_url: str, good: bool) -> None:
    oidc = f"{{oidc: {{issuer: '{issuer_url}', audience: dragoman}}}}"
    text = f"models: [{{name: m, model: demo/echo}}]\nserver: {{api_key: sk-master}}\ngovernance: {oidc}\n"
    if good:
        read(text, file="x.yaml", env={})
        return
    with pytest.raises(ConfigurationError, match=r"governance\.oidc\.issuer: expected an https URL"):
        read(text, file="x.yaml", env={})
