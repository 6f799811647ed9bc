"""The `dragoman` command as people meet it: help worth reading, and errors on one line."""

from __future__ import annotations

import io
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dragoman.cli import main
from support.gateway import PROGRAM

COMMANDS = ["serve", "chat", "models", "check", "local", "demo-upstream", "simulate"]
GOOD = """
models:
  - {name: fast, model: demo/echo}
  - {name: fast, model: openai/gpt-4o-mini, api_key: sk-config-0123456789}
  - {name: "anthropic/*", model: "anthropic/*", api_key: sk-config-0123456789}
"""


class Run(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


Dragoman = Callable[..., Run]


@pytest.fixture
def dragoman(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dragoman:
    """The command in this process, in an environment without any key."""
    for name in {*os.environ} - {"PATH", "HOME", "LANG", "TMPDIR"}:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: str, typed: str = "", **environment: str) -> Run:
        monkeypatch.setattr(sys, "argv", ["dragoman", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with monkeypatch.context() as context:
            for name, value in environment.items():
                context.setenv(name, value)
            with pytest.raises(SystemExit) as end:
                main()
        said = capsys.readouterr()
        if isinstance(end.value.code, str):  # which the interpreter prints
            return Run(1, said.out, f"{said.err}{end.value.code}\n")
        return Run(end.value.code or 0, said.out, said.err)

    return run


def process(*arguments: str) -> Run:
    """The command as a process, for what a server does to its process."""
    run = subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=120)
    return Run(run.returncode, run.stdout, run.stderr)


def refusal(run: Run) -> str:
    """The one line that says why nothing was done."""
    assert run.returncode == 1, run
    assert run.stdout == ""
    assert re.fullmatch(r"dragoman: [^\n]+\n", run.stderr), run.stderr
    return run.stderr.removeprefix("dragoman: ").rstrip("\n")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "dragoman.yaml"
    path.write_text(GOOD)
    return path


# -------------------------------------------------------------------------------------------------------------------- help
def test_help_lists_the_commands(dragoman: Dragoman) -> None:
    run = dragoman("--help")
    assert run.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^\W*{command}\s+\w", run.stdout, re.MULTILINE), f"{command} has no line"


def test_without_a_command_the_help_is_shown(dragoman: Dragoman) -> None:
    assert "demo-upstream" in dragoman().stdout + dragoman().stderr


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("serve", ["Run the gateway.", "--config", "--host", "--port", "DRAGOMAN_CONFIG"]),
        ("chat", ["Talk to a model", "--system", "provider/model"]),
        ("models", ["List the models", "--providers", "--config"]),
        ("check", ["Sends nothing anywhere", "--config"]),
        ("local", ["pull"]),
        ("demo-upstream", ["stand-in for OpenAI and Anthropic", "--fail", "--latency"]),
    ],
)
def test_every_command_explains_itself(dragoman: Dragoman, command: str, words: list[str]) -> None:
    run = dragoman(command, "--help")
    assert run.returncode == 0
    text = re.sub(r"\s+", " ", run.stdout)
    assert [word for word in words if word not in text] == []


def test_an_unknown_command_or_option_is_told(dragoman: Dragoman) -> None:
    for arguments in (["sevre"], ["serve", "--prot", "1"], ["serve", "--port", "many"]):
        run = dragoman(*arguments)
        assert run.returncode == 2
        assert "Error" in run.stderr
        assert "Traceback" not in run.stderr


# ---------------------------------------------------------------------------------------------------------- check and models
def test_check_says_who_serves_what_and_no_key(dragoman: Dragoman, config: Path) -> None:
    run = dragoman("check", "--config", str(config))
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines() == ["fast: demo/echo, openai/gpt-4o-mini", f"{config} is good: 1 models"]


def test_check_reads_the_file_that_the_environment_names(dragoman: Dragoman, config: Path) -> None:
    assert dragoman("check", DRAGOMAN_CONFIG=str(config)).stdout.endswith("is good: 1 models\n")


def test_check_without_a_file_is_about_the_built_in_configuration(dragoman: Dragoman) -> None:
    assert "local/smollm2-135m" in dragoman("check").stdout


def test_models_lists_the_names(dragoman: Dragoman, config: Path) -> None:
    assert dragoman("models", "--config", str(config)).stdout == "fast\n"
    assert dragoman("models").stdout.splitlines() == ["local/smollm2-135m", "local/use-multilingual-v3"]


def test_providers_are_listed_with_what_they_need(dragoman: Dragoman) -> None:
    lines = dict(
        line.split(maxsplit=1) for line in dragoman("models", "--providers", ANTHROPIC_API_KEY="sk-x").stdout.splitlines()
    )
    assert lines["openai"] == "needs OPENAI_API_KEY"
    assert lines["anthropic"] == "ready"
    assert lines["demo"] == "ready"
    assert "sk-x" not in str(lines)


# -------------------------------------------------------------------------------------------------------------------- chat
def test_a_conversation_through_a_pipe(dragoman: Dragoman) -> None:
    run = dragoman("chat", "demo/echo", typed="hello there\n\nand again\n/quit\nnever said\n")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == "hello there\nand again\n"


def test_a_failing_call_is_one_line_and_the_conversation_goes_on(dragoman: Dragoman) -> None:
    run = dragoman("chat", "demo/echo?fail=401", typed="hello\nagain\n")
    assert run.returncode == 0
    lines = run.stderr.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("dragoman: ") and "401" in line for line in lines)


def test_a_chat_with_nobody_is_refused(dragoman: Dragoman) -> None:
    assert "no provider is called 'opnai'" in refusal(dragoman("chat", "opnai/gpt-4o", typed="hello\n"))


# ------------------------------------------------------------------------------------------------------------------ errors
@pytest.mark.parametrize("command", ["serve", "check", "models"])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models:\n- name: a\n  modle: b\n", "dragoman.yaml:3: models[0].modle: unknown key; did you mean model?"),
        ("models:\n- {name: a, model: openai/x}\n", "dragoman.yaml:2: models[0]: openai needs a key: "),
        ("models: [\n", "dragoman.yaml:2: not YAML: "),
        ("", "dragoman.yaml:1: models: there is none; "),
    ],
)
def test_a_bad_configuration_is_one_line_with_its_place(
    dragoman: Dragoman, command: str, text: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "dragoman.yaml").write_text(text)
    assert f"{tmp_path}/{message}" in refusal(dragoman(command, "--config", str(tmp_path / "dragoman.yaml")))


def test_a_file_that_is_not_there_is_told(dragoman: Dragoman) -> None:
    assert refusal(dragoman("serve", "--config", "/nowhere/dragoman.yaml")) == (
        "/nowhere/dragoman.yaml: cannot be read: No such file or directory"
    )


@pytest.mark.parametrize("command", ["serve", "demo-upstream"])
def test_a_port_that_is_taken_is_told(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        message = refusal(process(command, "--port", port))
    assert message.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert "in use" in message


@pytest.mark.parametrize("arguments", [["--host", "192.0.2.1"], ["--host", "a" * 300]], ids=["foreign", "no name"])
def test_an_address_that_is_not_ours_is_told(arguments: list[str]) -> None:
    assert refusal(process("serve", "--port", "0", *arguments)).startswith("cannot listen on ")


def test_a_certificate_that_is_not_there_is_told(config: Path) -> None:
    config.write_text(GOOD + "server: {ssl_certfile: /nowhere.pem, ssl_keyfile: /nowhere.key}\n")
    message = refusal(process("serve", "--port", "0", "--config", str(config)))
    assert "cannot use /nowhere.pem and /nowhere.key: " in message


@pytest.mark.parametrize("asked", [{"arguments": ["--debug"]}, {"DRAGOMAN_DEBUG": "1"}])
def test_debug_shows_the_traceback(tmp_path: Path, asked: dict[str, Any]) -> None:
    arguments = [PROGRAM, "check", "--config", tmp_path / "none.yaml", *asked.pop("arguments", [])]
    run = subprocess.run(arguments, capture_output=True, text=True, check=False, env={**os.environ, **asked}, timeout=120)
    assert run.returncode == 1
    assert run.stderr.startswith("Traceback")
    assert "cannot be read" in run.stderr
