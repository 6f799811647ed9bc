"""Keys that secrets are sealed with, and the addresses that the admin API may name."""

from __future__ import annotations

import asyncio
from base64 import b64encode, urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest

from dragoman.core.errors import BadRequestError, ConfigurationError
from dragoman.gateway.config import Config, read
from dragoman.gateway.governance.scopes import Reference
from dragoman.gateway.stored.addresses import check, is_public
from dragoman.gateway.stored.sealing import Sealing

ONE, TWO = (b64encode(bytes(range(start, start + 32))).decode() for start in (200, 30))
BASE = "models: [{name: m, model: demo/echo}]\n"
GOVERNED = "server: {api_key: sk-master-of-this-test}\ngovernance: {}\n"


def loaded(text: str, **env: str) -> Config:
    return read(text, file="x.yaml", env=env)[0]


def keys(config: Config) -> Any:
    return config.server.encryption_key


def fernet(key: str) -> str:
    return key.replace("+", "-").replace("/", "_")


def test_keys_come_from_the_file_or_the_environment(tmp_path: Path) -> None:
    assert "/" in ONE
    assert keys(loaded(BASE + GOVERNED)) is None
    assert keys(loaded(BASE + GOVERNED, DRAGOMAN_ENCRYPTION_KEY=ONE)) == (fernet(ONE),)
    assert keys(loaded(BASE + GOVERNED, DRAGOMAN_ENCRYPTION_KEY=f"{ONE}, {fernet(TWO)}")) == (fernet(ONE), fernet(TWO))
    said = BASE + "server: {api_key: sk-master-of-this-test, KEY}\ngovernance: {}\n"
    assert keys(loaded(said.replace("KEY", "encryption_key: os.environ/X"), X=ONE, DRAGOMAN_ENCRYPTION_KEY=TWO)) == (
        fernet(ONE),
    )
    assert keys(loaded(said.replace("KEY", f"encryption_key: ['{ONE}', '{TWO}']"))) == (fernet(ONE), fernet(TWO))
    (tmp_path / "keys").write_text(f"{TWO}\n{ONE}\n")
    assert keys(loaded(said.replace("KEY", f"encryption_key_file: '{tmp_path}/keys'"))) == (fernet(TWO), fernet(ONE))


@pytest.mark.parametrize(
    "entry, env, said",
    [
        ("encryption_key: hunter2hunter2", {}, r"x\.yaml:2: server\.encryption_key: expected 32 random bytes"),
        (f"encryption_key: '{ONE[:-4]}'", {}, r"server\.encryption_key: expected 32 random bytes"),
        ("encryption_key: ''", {}, r"server\.encryption_key: expected 32 random bytes"),
        ("encryption_key_file: /nowhere/at/all", {}, r"server\.encryption_key_file: /nowhere/at/all: cannot be read"),
        (f"encryption_key: '{ONE}', encryption_key_file: x", {}, "not in both"),
        (
            "port: 1",
            {"DRAGOMAN_ENCRYPTION_KEY": "hunter2hunter2"},
            "^DRAGOMAN_ENCRYPTION_KEY: expected 32 .*openssl",
        ),
    ],
)
def test_a_key_that_is_none_is_explained_and_not_repeated(entry: str, env: dict[str, str], said: str) -> None:
    text = BASE + f"server: {{api_key: sk-master-of-this-test, {entry}}}\ngovernance: {{}}\n"
    with pytest.raises(ConfigurationError, match=said) as refused:
        loaded(text, **env)
    assert "hunter2" not in refused.value.message
    assert ONE[:8] not in refused.value.message


def test_a_key_without_a_database_is_a_mistake_where_it_is_written_and_none_in_the_environment() -> None:
    with pytest.raises(ConfigurationError, match="needs governance beside it"):
        loaded(BASE + f"server: {{encryption_key: '{ONE}'}}\n")
    assert not loaded(BASE, DRAGOMAN_ENCRYPTION_KEY=ONE).stores_models


def test_a_file_without_models_is_good_where_the_database_may_have_some() -> None:
    with pytest.raises(ConfigurationError, match="models: there is none"):
        loaded(GOVERNED)
    assert loaded(GOVERNED, DRAGOMAN_ENCRYPTION_KEY=ONE).models == ()


def test_the_first_key_seals_and_all_open() -> None:
    reference, values = Reference("credential", "c"), {"api_key": "sk-ü", "headers": {"a": "b"}}
    old, both, new = Sealing((fernet(ONE),)), Sealing((fernet(TWO), fernet(ONE))), Sealing((fernet(TWO),))
    assert both.open(reference, old.seal(reference, values)) == values
    assert new.open(reference, both.seal(reference, values)) == values
    assert old.seal(reference, values) != old.seal(reference, values)
    for sealed in (both.seal(reference, values), "", "nonsense", old.seal(Reference("model", "c"), values)):
        with pytest.raises(ConfigurationError, match="the credential 'c' in the database was not encrypted with a key"):
            old.open(reference, sealed)


PUBLIC = ("8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")
INSIDE = """
127.0.0.1 127.9.9.9 10.0.0.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 240.0.0.1
::1 :: fe80::1 fe80::1%eth0 fd00:ec2::254 ff02::1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 64:ff9b::7f00:1 2002:7f00:1::
""".split()


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_of_the_inside(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("url", ["https://8.8.8.8/v1", "https://[2606:4700:4700::1111]/v1", "https://no..name/v1"])
def test_what_leads_inside_by_no_name_passes(url: str) -> None:
    asyncio.run(check(url, "api_base"))


@pytest.mark.parametrize(
    "url", ["ftp://8.8.8.8", "demo://in-process", "8.8.8.8", "https://", "http://127.1", "http://LOCALHOST:80"]
)
def test_what_leads_inside_or_nowhere_is_refused(url: str) -> None:
    with pytest.raises(BadRequestError, match=r"^api_base: "):
        asyncio.run(check(url, "api_base"))


def test_the_first_key_of_fernet_is_taken_as_it_is() -> None:
    made = urlsafe_b64encode(b"x" * 32).decode()
    assert keys(loaded(BASE + GOVERNED, DRAGOMAN_ENCRYPTION_KEY=made)) == (made,)
