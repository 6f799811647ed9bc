"""Schemathesis against a running server. SCHEMATHESIS names the program of that name, in an environment of its own, since its
plugin for pytest is not for the main one; `make schemathesis` sets it.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROGRAM = os.environ.get("SCHEMATHESIS")
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
CONFIGURATION = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", "503"]  # nobody could answer: in the millisecond that was given, for one
"""

needed = pytest.mark.skipif(PROGRAM is None, reason="SCHEMATHESIS names no program: make schemathesis")


def assert_nothing_is_found(document: str, header: str, folder: Path, *, checks: str = CHECKS, examples: int = 20) -> None:
    """Hold the server to its OpenAPI document at this URL. `header` shows a key."""
    (folder / "schemathesis.toml").write_text(CONFIGURATION)
    done = subprocess.run(
        [
            *(str(PROGRAM), "run", document, "--header", header, "--checks", checks),
            *("--max-examples", str(examples), "--seed", "1", "--phases", "examples,coverage,fuzzing"),
            *("--generation-database", "none"),
        ],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=540,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
