"""What counts no tokens is billed by the piece: images by quality and size, characters, seconds, queries; in the books too."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from dragoman.core import multipart
from support.gateway import RunningGateway, gateway
from support.http_server import QuietHandler, running, url_of
from support.requests import until

MASTER = "sk-master-of-this-test"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
FAR = "https://pictures.example/cat.png"


class Media(QuietHandler):
    """OpenAI's media routes, as models answer that count no tokens. Of `n` images one is missing if the prompt says so."""

    def do_POST(self) -> None:  # noqa: N802 - the name that the base class calls
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path.endswith("/images/generations"):
            asked = json.loads(body)
            count = asked.get("n", 1) - ("one less" in asked["prompt"])
            self.answer(200, json.dumps({"created": 1, "data": [{"url": FAR}] * count}).encode())
        elif self.path.endswith("/audio/speech"):
            self.answer(200, b"ID3...", "audio/mpeg")
        elif self.path.endswith("/rerank"):
            results = [{"index": 0, "relevance_score": 0.9}]
            self.answer(
                200, json.dumps({"id": "r", "results": results, "meta": {"billed_units": {"search_units": 2}}}).encode()
            )
        else:
            usage = {"type": "duration", "seconds": 90}
            self.answer(200, json.dumps({"text": "Hello.", "usage": usage}).encode())


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("pieces")
    with running(ThreadingHTTPServer(("127.0.0.1", 0), Media)) as upstream:
        at = f"api_base: '{url_of(upstream)}/v1', api_key: k"
        models = ("dall-e-3", "dall-e-2", "tts-1", "gpt-4o-mini-tts", "whisper-1")
        rows = "\n".join(f"  - {{name: {name}, model: openai/{name}, {at}}}" for name in models)
        rows += f"\n  - {{name: rerank, model: cohere/rerank-v3.5, {at}}}"
        yaml = f"""
models:
{rows}
server: {{api_key: {MASTER}, drain_seconds: 1}}
governance: {{database: 'sqlite:///{folder}/ledger.db', journal: '{folder}/journal'}}
"""
        with gateway(yaml) as running_gateway:
            yield running_gateway


def post(
    served: RunningGateway, path: str, body: Any, key: str = MASTER, content_type: str = "application/json"
) -> tuple[dict[str, str], bytes]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": content_type}
    with DIRECT.open(urllib.request.Request(served.url + path, data=data, headers=headers), timeout=20) as answer:
        return dict(answer.headers), answer.read()


def issue(served: RunningGateway, **terms: Any) -> str:
    found: str = json.loads(post(served, "/key/generate", terms)[1])["key"]
    return found


def rows(served: RunningGateway, key: str) -> list[dict[str, Any]]:
    request = urllib.request.Request(f"{served.url}/spend/logs?api_key={key}", headers={"authorization": f"Bearer {MASTER}"})
    with DIRECT.open(request, timeout=20) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


class Case(NamedTuple):
    path: str
    body: dict[str, Any]
    dollars: float
    line: tuple[str, float]


IMAGES, SPEECH = "/v1/images/generations", "/v1/audio/speech"
CASES = [
    Case(IMAGES, {"model": "dall-e-3", "prompt": "a cat"}, 0.04, ("image", 1)),
    Case(IMAGES, {"model": "dall-e-3", "prompt": "a cat", "size": "1792x1024"}, 0.08, ("image 1792x1024", 1)),
    Case(
        IMAGES,
        {"model": "dall-e-3", "prompt": "a cat", "size": "1024x1792", "quality": "hd"},
        0.12,
        ("image hd 1024x1792", 1),
    ),
    Case(IMAGES, {"model": "dall-e-2", "prompt": "a cat", "size": "512x512", "n": 3}, 0.054, ("image 512x512", 3)),
    Case(IMAGES, {"model": "dall-e-2", "prompt": "one less", "n": 3}, 0.04, ("image", 2)),
    Case(SPEECH, {"model": "tts-1", "input": "x" * 200, "voice": "alloy"}, 0.003, ("character", 200)),
    Case("/v1/rerank", {"model": "rerank", "query": "q", "documents": ["a"] * 101}, 0.004, ("query", 2)),
]


@pytest.mark.parametrize("case", CASES, ids=[case.line[0] + "-" + str(case.dollars) for case in CASES])
def test_the_header_and_the_ledger_tell_what_the_pieces_cost(served: RunningGateway, case: Case) -> None:
    key = issue(served, max_budget=10)
    headers, _ = post(served, case.path, case.body, key)
    assert float(headers["x-dragoman-cost"]) == pytest.approx(case.dollars)
    until(lambda: len(rows(served, key)) == 1)
    (row,) = rows(served, key)
    assert (row["spend"], row["estimated"]) == (pytest.approx(case.dollars), False)
    assert [(line["kind"], line["quantity"]) for line in row["cost_lines"]] == [case.line]


def test_speech_that_is_heard_is_paid_for_by_the_second(served: RunningGateway) -> None:
    key = issue(served)
    sound = multipart.FormPart(name="file", data=b"RIFF....", filename="a.wav", media_type="audio/wav")
    form = multipart.encode([multipart.FormPart(name="model", data=b"whisper-1"), sound], "-between-")
    headers, _ = post(served, "/v1/audio/transcriptions", form, key, multipart.content_type("-between-"))
    assert float(headers["x-dragoman-cost"]) == pytest.approx(90 * 0.0001)


def spent(served: RunningGateway) -> float:
    """On images of dall-e-3, by the metrics."""
    request = urllib.request.Request(f"{served.url}/metrics", headers={"authorization": f"Bearer {MASTER}"})
    with DIRECT.open(request, timeout=20) as answer:
        families = parse(answer.read().decode())
    samples = [sample for family in families for sample in family.samples if sample.name == "dragoman_spend_usd_total"]
    return sum(sample.value for sample in samples if sample.labels["deployment"].startswith("dall-e-3"))


def test_gptrouters_pictures_are_billed_each(served: RunningGateway) -> None:
    key, before = issue(served), spent(served)
    wish = {"imageVendor": "dall-e", "model": "dall-e-3", "prompt": "a cat", "numImages": 2, "size": "1792x1024"}
    headers, body = post(served, "/api/v1/generate/generate-image", wish, key)
    assert json.loads(body)["meta"]["cost"] == pytest.approx(0.16)
    assert headers["x-dragoman-cost"] == "0.160000000"
    assert spent(served) - before == pytest.approx(0.16)
    until(lambda: len(rows(served, key)) == 2)
    assert [row["spend"] for row in rows(served, key)] == [pytest.approx(0.08)] * 2


def test_what_nobody_prices_by_the_piece_has_no_cost(served: RunningGateway) -> None:
    """gpt-4o-mini-tts is paid for in tokens, which speech does not tell."""
    key = issue(served)
    headers, _ = post(served, SPEECH, {"model": "gpt-4o-mini-tts", "input": "Hello.", "voice": "alloy"}, key)
    assert "x-dragoman-cost" not in headers
    until(lambda: len(rows(served, key)) == 1)
    (row,) = rows(served, key)
    assert (row["cost"], row["cost_notes"]) == (None, ["no price is known for character of openai/gpt-4o-mini-tts"])
