"""What a batch shows while it runs."""

from __future__ import annotations

import asyncio
import io
import sys
from typing import Any

import pytest

from dragoman import Router
from dragoman.client.progress import Line

HELLO = [{"role": "user", "content": "hello"}]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(out: Any, total: int, failed: frozenset[int] = frozenset()) -> str:
    line = Line(total, out)
    for number in range(total):
        line.update(failed=number in failed)
    line.close()
    return str(out.getvalue())


def test_a_terminal_has_one_line() -> None:
    expected = "\r1/3 calls\r2/3 calls, 1 failed\r3/3 calls, 1 failed\n"
    assert shown(Terminal(), 3, frozenset({1})) == expected


@pytest.mark.parametrize(("total", "lines"), [(1, 1), (7, 7), (10, 10), (1000, 10), (1005, 10)])
def test_a_file_has_a_line_for_each_tenth(total: int, lines: int) -> None:
    found = shown(io.StringIO(), total).splitlines()
    assert len(found) == lines
    assert found[-1] == f"{total}/{total} calls"


def test_a_batch_that_breaks_off_ends_its_line() -> None:
    out = Terminal()
    line = Line(5, out)
    line.update(failed=False)
    line.close()
    assert out.getvalue() == "\r1/5 calls\n"


@pytest.mark.parametrize("installed", [True, False], ids=["tqdm", "without it"])
@pytest.mark.parametrize("progress", [True, False], ids=["shown", "not asked for"])
def test_a_batch_shows_how_far_it_has_come(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, installed: bool, progress: bool
) -> None:
    if installed:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    entries = [{"model_name": name, "litellm_params": {"model": f"demo/{name}"}} for name in ("echo", "echo?fail=400")]

    async def scenario() -> list[Any]:
        async with asyncio.timeout(60):
            router = Router(model_list=entries, env={})
            models = [entry["model_name"] for entry in entries]
            return [
                *await router.abatch_completion(models, HELLO, progress=progress),
                *await router.abatch_completion_one_model_multiple_requests("echo", [HELLO, HELLO], progress=progress),
            ]

    assert [isinstance(one, Exception) for one in asyncio.run(scenario())] == [False, True, False, False]
    text = capsys.readouterr().err
    assert ("2/2" in text, "failed=1" in text or "1 failed" in text) == (progress, progress)
    assert (text == "") is not progress


def test_nothing_to_do_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    router = Router(model_list=[{"model_name": "a", "litellm_params": {"model": "demo/echo"}}], env={})
    assert asyncio.run(router.abatch_completion([], HELLO, progress=True)) == []
    assert capsys.readouterr().err == ""
