"""Files and batches through the gateway: ids that only their owner can use, models by their public names, and the books."""

from __future__ import annotations

import asyncio
import json
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.core import multipart
from dragoman.core.chat import Usage
from dragoman.core.errors import BadRequestError, NotFoundError
from dragoman.core.http import HttpRequest, HttpResponse
from dragoman.gateway.admission import Admission
from dragoman.gateway.governance import keys
from dragoman.gateway.governance.governance import Governance
from dragoman.gateway.governance.scopes import Scope
from dragoman.gateway.raw.batch_lines import read_usage, translated
from dragoman.gateway.raw.file_ids import Ids, Known
from dragoman.gateway.store.base import Filter
from dragoman.gateway.store.memory import MemoryStore
from support.governing import ListJournal, change
from support.whole_gateway import JSON, WholeGateway

CONFIG = """
models:
  - {name: fast, model: openai/gpt-4o-mini}
  - {name: elsewhere, model: anthropic/claude-x}
server: {api_key: sk-the-gateways-own-key}
files: {providers: [openai]}
"""
ALICE, BOB, NARROW = (f"sk-{name}-" + "k" * 30 for name in ("alice", "bob", "narrow"))


class Provider:
    """Keeps files and batches as OpenAI does, and finishes a batch at once."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, Any]] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.contents: dict[str, bytes] = {}
        self.status = "completed"

    def __call__(self, request: HttpRequest) -> HttpResponse:
        assert ("authorization", "Bearer sk-upstream") in request.headers
        path = request.url.removeprefix("https://api.openai.com/v1").partition("?")[0]
        found = getattr(self, f"on_{request.method.lower()}_{path.split('/')[1]}")(request, path.split("/")[2:])
        if isinstance(found, bytes):
            return HttpResponse(status=200, headers=(("content-type", "application/octet-stream"),), body=found)
        status = 404 if found is None else 200
        return HttpResponse(status=status, headers=JSON, body=json.dumps(found or {"error": {"message": "no"}}).encode())

    def on_post_files(self, request: HttpRequest, _: Any) -> Any:
        parts = multipart.decode(request.body, multipart.boundary_of(dict(request.headers)["content-type"]))
        assert {part.name for part in parts} == {"file", "purpose"}
        file = next(part for part in parts if part.filename)
        return self.kept(file.filename or "", file.data)

    def kept(self, name: str, data: bytes) -> dict[str, Any]:
        made = {"id": f"file-{len(self.files)}", "object": "file", "filename": name, "bytes": len(data)}
        self.files[made["id"]], self.contents[made["id"]] = made, data
        return made

    def on_get_files(self, _: HttpRequest, rest: list[str]) -> Any:
        if not rest:
            return {"object": "list", "data": list(self.files.values()), "has_more": False}
        return self.contents[rest[0]] if rest[1:] else self.files.get(rest[0])

    def on_delete_files(self, _: HttpRequest, rest: list[str]) -> Any:
        return {"id": rest[0], "deleted": self.files.pop(rest[0], None) is not None}

    def on_post_batches(self, request: HttpRequest, rest: list[str]) -> Any:
        if rest:
            self.batches[rest[0]]["status"] = "cancelled"
            return self.batches[rest[0]]
        body = json.loads(request.body)
        output = self.kept("batch_output.jsonl", RESULTS)
        made = {"object": "batch", "status": self.status, "output_file_id": output["id"], "error_file_id": None, **body}
        return self.batches.setdefault(f"batch_{len(self.batches)}", {"id": f"batch_{len(self.batches)}", **made})

    def on_get_batches(self, _: HttpRequest, rest: list[str]) -> Any:
        if not rest:
            ids = list(self.batches)
            return {
                "object": "list",
                "data": list(self.batches.values()),
                "first_id": ids[0],
                "last_id": ids[-1],
                "has_more": False,
            }
        return self.batches.get(rest[0])


def result(index: int) -> dict[str, Any]:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    body = {"object": "chat.completion", "model": "gpt-4o-mini", "choices": [], "usage": usage}
    return {"custom_id": f"c{index}", "response": {"status_code": 200, "body": body}, "error": None}


RESULTS = b"\n".join(json.dumps(result(index)).encode() for index in range(3))
LINES = b"".join(
    json.dumps(
        {"custom_id": f"c{index}", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "fast", "messages": []}}
    ).encode()
    + b"\n"
    for index in range(3)
)


class House:
    def __init__(self) -> None:
        self.provider = Provider()
        self.gateway = WholeGateway(CONFIG, choose=self.provider)
        self.governance: Any = None
        self.store = MemoryStore()

    async def govern(self) -> None:
        store = self.store
        for team in (Scope(kind="team", id="red"), Scope(kind="team", id="blue")):
            await store.create(team, change(team), "")
        for key, scope in {
            ALICE: Scope(kind="key", id="alice", team="red"),
            BOB: Scope(kind="key", id="bob", team="blue"),
            NARROW: Scope(kind="key", id="narrow", models=("other",)),
        }.items():
            await store.create(scope, change(scope), keys.digest(key.encode()))
        self.governance = Governance(store, ListJournal(), worker="w")
        self.gateway.gateway.routes["POST", b"/v1/chat/completions"].handler.pipeline.admission = Admission(self.governance)

    async def ask(self, method: str, path: str, body: Any = None, key: str = ALICE, **headers: str) -> Any:
        return await self.gateway.ask(method, path, body, authorization=f"Bearer {key}", **headers)

    async def upload(self, data: bytes = LINES, purpose: str = "batch", key: str = ALICE, **fields: str) -> Any:
        parts = [multipart.FormPart(name=name, data=value.encode()) for name, value in {"purpose": purpose, **fields}.items()]
        parts.append(multipart.FormPart(name="file", data=data, filename="my lines~1.jsonl", media_type="application/jsonl"))
        body = multipart.encode(parts, "b")
        return await self.ask("POST", "/v1/files", body, key, content_type=multipart.content_type("b"))


@pytest.fixture
def house() -> House:
    made = House()
    asyncio.run(made.govern())
    return made


async def settling() -> None:
    """What is done beside the requests has been done."""
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "dragoman-batches"))


async def batch_of(house: House) -> dict[str, Any]:
    file = (await house.upload()).value
    body = {
        "input_file_id": file["id"],
        "endpoint": "/v1/chat/completions",
        "completion_window": "24h",
        "metadata": {"mine": "1"},
    }
    made = await house.ask("POST", "/v1/batches", body)
    assert made.status == 200
    return made.value


def test_a_file_is_kept_under_an_id_of_ours_and_comes_back(house: House) -> None:
    async def scenario() -> None:
        file = (await house.upload(b"some text", purpose="user_data", custom_llm_provider="openai")).value
        assert file["filename"] == "my lines~1.jsonl"
        assert file["id"].startswith("file-")
        assert house.provider.contents["file-0"] == b"some text"
        for path in ("/v1/files/", "/files/"):
            assert (await house.ask("GET", path + file["id"])).value == file
        assert (await house.ask("GET", f"/v1/files/{file['id']}/content")).answer == b"some text"
        assert (await house.ask("DELETE", f"/v1/files/{file['id']}")).value == {"id": file["id"], "deleted": True}
        assert house.provider.files == {}

    asyncio.run(scenario())


def test_a_batch_names_a_model_of_ours_and_is_told_in_our_ids(house: House) -> None:
    async def scenario() -> None:
        batch = await batch_of(house)
        lines = [json.loads(line) for line in house.provider.contents["file-0"].splitlines()]
        assert [line["body"]["model"] for line in lines] == ["gpt-4o-mini"] * 3
        assert [line["custom_id"] for line in lines] == ["c0", "c1", "c2"]
        assert batch["metadata"] == {"mine": "1"}
        assert batch["id"].startswith("batch_")
        assert "batch_0" not in json.dumps(batch)
        assert "file-0" not in json.dumps(batch)
        again = (await house.ask("GET", f"/v1/batches/{batch['id']}")).value
        assert again == batch
        listed = (await house.ask("GET", "/v1/batches")).value
        assert listed["data"] == [batch]
        assert listed["first_id"] == listed["last_id"] == batch["id"]
        cancelled = (await house.ask("POST", f"/v1/batches/{batch['id']}/cancel")).value
        assert (cancelled["id"], cancelled["status"]) == (batch["id"], "cancelled")

    asyncio.run(scenario())


def test_results_are_booked_once_at_the_price_of_batches(house: House) -> None:
    async def scenario() -> None:
        batch = await batch_of(house)
        for _ in range(2):
            seen = await house.ask("GET", f"/v1/files/{batch['output_file_id']}/content")
            assert seen.answer == RESULTS
            await house.ask("GET", f"/v1/batches/{batch['id']}")
            await settling()
        (row,) = await house.store.rows(Filter(), limit=9, offset=0)
        assert (row.operation, row.model, row.upstream_model, row.team) == ("batch", "fast", "gpt-4o-mini", "red")
        assert (row.usage.input_tokens, row.usage.output_tokens) == (3000, 300)
        usual = 3000 * 150 + 300 * 600  # nano-dollars: 0.15 and 0.60 USD a million
        assert row.charged == usual // 2
        assert await house.store.reserved() == {}
        assert await house.store.verify() == []
        assert (house.governance.holds, house.governance.ended) == ({}, [])

    asyncio.run(scenario())


def test_what_its_lines_may_cost_is_held_from_the_upload_on(house: House) -> None:
    """It is worked out there, once, and goes along in the id and at the provider."""

    async def scenario() -> None:
        house.provider.status = "in_progress"
        batch = await batch_of(house)
        (stored,) = await house.store.batches(
            Ids(b"sk-the-gateways-own-key").mark("team/red"), "openai_chat", before=inf, limit=9
        )
        sizes = [len(json.dumps(json.loads(line)["body"])) for line in house.provider.contents["file-0"].splitlines()]
        tokens = [size // 4 for size in sizes]  # to the token: the provider's lines are written without blanks
        assert stored.row.held == pytest.approx(sum(tokens) * 75 + 3 * 1024 * 300, rel=0.01)
        assert set((await house.store.reserved()).values()) == {stored.row.held}
        listed = (await house.ask("GET", "/v1/files")).value["data"]
        assert listed[0]["id"] == batch["input_file_id"]

    asyncio.run(scenario())


def test_what_is_anothers_is_not_there(house: House) -> None:
    async def scenario() -> None:
        batch = await batch_of(house)
        file = batch["input_file_id"]
        for method, path, body in (
            ("GET", f"/v1/files/{file}", None),
            ("GET", f"/v1/files/{file}/content", None),
            ("DELETE", f"/v1/files/{file}", None),
            ("POST", "/v1/batches", {"input_file_id": file}),
            ("GET", f"/v1/batches/{batch['id']}", None),
            ("POST", f"/v1/batches/{batch['id']}/cancel", None),
            ("GET", f"/v1/batches?after={batch['id']}", None),
        ):
            before = len(house.gateway.asked)
            refused = await house.ask(method, path, body, key=BOB)
            assert refused.status == 404, (method, path)
            assert len(house.gateway.asked) == before
        assert (await house.ask("GET", "/v1/files", key=BOB)).value["data"] == []
        assert (await house.ask("GET", "/v1/batches", key=BOB)).value["data"] == []
        mine = (await house.ask("GET", "/v1/files")).value["data"]
        assert [item["filename"] for item in mine] == ["my lines~1.jsonl"]

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [[], {}, {"input_file_id": "file-0", "metadata": "x"}])
def test_a_batch_that_is_none_is_refused(house: House, body: Any) -> None:
    seen = asyncio.run(house.ask("POST", "/v1/batches", body))
    assert (seen.status, len(house.gateway.asked)) == (400, 0)
    assert "metadata" in seen.value["error"]["message"]


@pytest.mark.parametrize(
    "path", ["/v1/files/file-0", "/v1/files/", "/v1/files/file-%00", "/v1/batches/batch_0", "/v1/files/../models"]
)
def test_an_id_that_nobody_was_given_is_none(house: House, path: str) -> None:
    seen = asyncio.run(house.ask("GET", path))
    assert seen.status == 404
    assert house.gateway.asked == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file has no lines"),
        (b"no json", "line 1: expected a JSON object with a body that names its model"),
        (b'{"body": {}}', "line 1: expected a JSON object with a body"),
        (b'{"body": {"model": 7}}', "line 1: expected"),
        (
            b'{"body": {"model": "fast"}}\n\n{"body": {"model": "elsewhere"}}',
            "line 3: one batch has one model, found fast, elsewhere",
        ),
        (b'{"body": {"model": "elsewhere"}}', "model: 'elsewhere' is not served by openai"),
        (b'{"body": {"model": "nobody"}}', "nobody"),
    ],
)
def test_a_batch_that_cannot_be_is_refused_when_it_is_uploaded(house: House, data: bytes, message: str) -> None:
    seen = asyncio.run(house.upload(data))
    assert seen.status in {400, 404}
    assert message in seen.value["error"]["message"]
    assert house.gateway.asked == []


def test_a_key_may_not_have_done_in_a_batch_what_it_may_not_do(house: House) -> None:
    seen = asyncio.run(house.upload(key=NARROW))
    assert (seen.status, "may not use the model 'fast'" in seen.value["error"]["message"]) == (403, True)
    assert house.gateway.asked == []


def test_a_provider_that_keeps_no_files_is_named(house: House) -> None:
    seen = asyncio.run(house.upload(custom_llm_provider="groq"))
    assert (seen.status, seen.value["error"]["param"]) == (400, "custom_llm_provider")


def test_a_failure_of_the_provider_is_told_as_it_is(house: House) -> None:
    async def scenario() -> None:
        file = (await house.upload()).value
        house.provider.files.clear()
        gone = await house.ask("GET", f"/v1/files/{file['id']}")
        assert (gone.status, gone.value) == (404, {"error": {"message": "no"}})

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", [b"no json", b"[]", b"{}", b'{"data": 7}'])
def test_an_answer_of_another_shape_is_a_bad_gateway(answer: bytes) -> None:
    gateway = WholeGateway(CONFIG, HttpResponse(status=200, headers=JSON, body=answer))
    body = multipart.encode([multipart.FormPart(name="file", data=b"x", filename="a")], "b")
    headers = {"authorization": "Bearer sk-the-gateways-own-key", "content_type": multipart.content_type("b")}
    seen = asyncio.run(gateway.ask("POST", "/v1/files", body, **headers))
    assert (seen.status, seen.value["error"]["message"][:8]) == (502, "openai: ")


NAMES = st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(NAMES, NAMES, st.none() | st.integers(0), NAMES)
def test_an_id_says_what_was_written_and_only_to_its_owner(provider: str, own: str, nano: int | None, owner: str) -> None:
    ids, known = Ids(b"secret"), Known(provider, own, "group", nano)
    written = ids.written("file", known, owner)
    assert ids.read("file", written, owner) == known
    for other_ids, kind, other in ((ids, "file", owner + "x"), (ids, "batch", owner), (Ids(b"other"), "file", owner)):
        with pytest.raises(NotFoundError):
            other_ids.read(kind, written.replace("file-", "batch_") if kind == "batch" else written, other)


@given(st.integers(0, 200), st.integers(0, 63))
def test_no_letter_of_an_id_can_be_changed(place: int, letter: int) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    ids, known = Ids(b"secret"), Known("openai", "file-abc", "fast")  # a whole number of base64 groups: no spare bits
    written = ids.written("file", known, "team/red")
    at = 5 + place % (len(written) - 5)
    forged = written[:at] + alphabet[letter] + written[at + 1 :]
    if forged == written:
        return
    try:
        assert ids.read("file", forged, "team/red") == known, "at most the spare bits at the end differ"
        assert at == len(written) - 1
    except NotFoundError:
        pass


@pytest.mark.parametrize(
    ("answer", "usage"),
    [
        (result(0)["response"]["body"], Usage(input_tokens=1000, output_tokens=100)),
        ({"object": "list", "usage": {"prompt_tokens": 5, "total_tokens": 5}}, Usage(input_tokens=5)),
        ({"object": "response", "usage": {"input_tokens": 5, "output_tokens": 1}}, Usage(input_tokens=5, output_tokens=1)),
        ({"object": 7}, None),
        ({"object": "unheard_of"}, None),
    ],
)
def test_an_answer_says_what_it_took(answer: Any, usage: Usage | None) -> None:
    assert read_usage(json.dumps(answer).encode()) == usage
    assert read_usage(b"no json") is None


def test_lines_keep_what_nobody_has_to_change() -> None:
    line = b'{"custom_id": "x",  "odd": 1.0, "body": {"model": "fast", "n":  1.50}}'
    made, group, (call,) = translated(line, lambda _: "upstream")
    assert (call.operation, call.body) == ("chat", b'{"model":"upstream","n":1.50}')
    assert (made, group) == (b'{"custom_id":"x","odd":1.0,"body":{"model":"upstream","n":1.50}}\n', "fast")
    with pytest.raises(BadRequestError):
        translated(b"[]", lambda _: "x")
