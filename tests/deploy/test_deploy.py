"""What `deploy/` holds beside the Helm chart: every file is valid where its reader can be asked, and names only what exists."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from dragoman.cli.app import app
from dragoman.gateway import config

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
SECRETS = {
    "DRAGOMAN_API_KEY": "sk-master",
    "DATABASE_URL": "postgresql://dragoman:x@localhost/dragoman",
    "REDIS_URL": "redis://localhost:6379/0",
    "OPENAI_API_KEY": "sk-none",
    "ANTHROPIC_API_KEY": "sk-none",
}


def test_the_gateway_reads_the_configuration_of_compose() -> None:
    found, _ = config.read((DEPLOY / "dragoman.yaml").read_text(), file="dragoman.yaml", env=SECRETS)
    assert found.governance is not None
    assert found.governance.database == SECRETS["DATABASE_URL"]
    assert found.governance.journal.startswith("/var/lib/dragoman/")


def test_the_image_starts_a_command_that_exists() -> None:
    command = yaml.safe_load(re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[1])
    name, *options = command
    with click.Context(app):
        app.commands[name].make_context(name, options, resilient_parsing=True)
    assert yaml.safe_load(re.search(r"^ENTRYPOINT (\[.*\])$", DOCKERFILE, re.MULTILINE)[1]) == ["dragoman"]
    assert re.search(r"^USER \d+$", DOCKERFILE, re.MULTILINE), "it runs as nobody's root"


def test_the_image_installs_extras_that_exist() -> None:
    project = (DEPLOY.parent / "pyproject.toml").read_text()
    for extra in re.search(r"\.\[([^\]]+)\]", DOCKERFILE)[1].split(","):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE), extra


def test_what_is_mounted_is_where_it_is_read() -> None:
    assert [volume.split(":")[1] for volume in COMPOSE["services"]["gateway"]["volumes"]] == [
        "/etc/dragoman/dragoman.yaml",
        "/var/lib/dragoman",
    ]


def test_a_stop_leaves_streams_the_time_that_the_gateway_gives_them() -> None:
    unit = (DEPLOY / "dragoman.service").read_text()
    stops = [int(COMPOSE["services"]["gateway"]["stop_grace_period"].rstrip("s"))]
    stops.append(int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)[1]))
    assert min(stops) > config.ServerEntry().drain_seconds


def test_systemd_leaves_the_workers_to_the_process_that_keeps_them() -> None:
    unit = (DEPLOY / "dragoman.service").read_text().splitlines()
    assert "KillMode=mixed" in unit, "two SIGTERMs, its own and the keeper's, would cut what is open in a worker"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not on this machine")
def test_systemd_knows_every_key(tmp_path: Path) -> None:
    unit = (DEPLOY / "dragoman.service").read_text().replace("/opt/dragoman/bin/dragoman", shlex.quote(shutil.which("true")))
    (tmp_path / "dragoman.service").write_text(unit)
    found = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "dragoman.service"], capture_output=True, text=True, check=False
    )
    assert (found.returncode, found.stdout + found.stderr) == (0, "")
