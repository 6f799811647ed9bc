"""Two providers' files and batches at one address: OpenAI's for who shows a bearer, Anthropic's for who shows an x-api-key.

A batch has answered all its requests when it is first asked for; with `hold_back` it never has.
"""

from __future__ import annotations

import json
from http.server import ThreadingHTTPServer
from typing import Any

from dragoman.core import multipart
from support.http_server import QuietHandler

TIMES = {"created_at": "2026-01-02T03:04:05Z", "expires_at": "2026-01-03T03:04:05Z"}
TOKENS_IN, TOKENS_OUT = 1000, 100


class BatchProviders(ThreadingHTTPServer):
    """`kept`: files by id (name, bytes); `batches`: what they were made of; `asked`: methods, paths and headers."""

    hold_back = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.kept: dict[str, tuple[str, bytes]] = {}
        self.batches: dict[str, Any] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    def keep(self, name: str, data: bytes) -> str:
        self.kept[f"file_{len(self.kept)}"] = name, data
        return f"file_{len(self.kept) - 1}"


class _Handler(QuietHandler):
    server: BatchProviders

    def do_GET(self) -> None:  # noqa: N802 - the name that http.server looks for
        self._do("get")

    def do_POST(self) -> None:  # noqa: N802 - the name that http.server looks for
        self._do("post")

    def do_DELETE(self) -> None:  # noqa: N802 - the name that http.server looks for
        self._do("delete")

    def _do(self, method: str) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        path = self.path.partition("?")[0]
        self.server.asked.append((method, path, headers))
        face = "anthropic" if "x-api-key" in headers else "openai"
        kind, *rest = path.removeprefix("/v1").removeprefix("/messages").lstrip("/").split("/")
        found = getattr(self, f"{face}_{kind}")(method, rest, body, headers.get("content-type", ""))
        status, data = (404, b'{"error": {"message": "no"}}') if found is None else (200, found)
        self.answer(status, data if isinstance(data, bytes) else json.dumps(data).encode())

    # Anthropic's
    def anthropic_batches(self, method: str, rest: list[str], body: bytes, _: str) -> Any:
        batches = self.server.batches
        if method == "post" and not rest:
            batches[f"msgbatch_{len(batches)}"] = json.loads(body)["requests"]
            return self._message_batch(f"msgbatch_{len(batches) - 1}", ended=False)
        if rest[0] not in batches:
            return None
        if rest[1:] == ["results"]:
            return b"\n".join(json.dumps(_message_result(request)).encode() for request in batches[rest[0]])
        if method == "delete":
            del batches[rest[0]]
            return {"id": rest[0], "type": "message_batch_deleted"}
        return self._message_batch(rest[0], ended=not self.server.hold_back and rest[1:] != ["cancel"])

    def _message_batch(self, id_: str, *, ended: bool) -> Any:
        number = len(self.server.batches[id_])
        counts = {"processing": 0 if ended else number, "succeeded": number if ended else 0}
        return {
            "id": id_,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": {**counts, "errored": 0, "canceled": 0, "expired": 0},
            "results_url": f"https://elsewhere.example/{id_}" if ended else None,
            "ended_at": TIMES["expires_at"] if ended else None,
            "archived_at": None,
            "cancel_initiated_at": None,
            **TIMES,
        }

    def anthropic_files(self, method: str, rest: list[str], body: bytes, content_type: str) -> Any:
        if method == "post":
            (part,) = multipart.decode(body, multipart.boundary_of(content_type))
            return self._anthropic_file(self.server.keep(part.filename or "", part.data))
        if not rest:
            return {"data": [self._anthropic_file(id_) for id_ in self.server.kept], "has_more": False}
        if rest[0] not in self.server.kept:
            return None
        if method == "delete":
            del self.server.kept[rest[0]]
            return {"id": rest[0], "type": "file_deleted"}
        return self.server.kept[rest[0]][1] if rest[1:] else self._anthropic_file(rest[0])

    def _anthropic_file(self, id_: str) -> Any:
        name, data = self.server.kept[id_]
        head = {"id": id_, "type": "file", "filename": name, "size_bytes": len(data)}
        return {**head, "mime_type": "text/plain", "downloadable": True, "created_at": TIMES["created_at"]}

    # OpenAI's
    def openai_files(self, method: str, rest: list[str], body: bytes, content_type: str) -> Any:
        if method == "post":
            file = next(part for part in multipart.decode(body, multipart.boundary_of(content_type)) if part.filename)
            return self._openai_file(self.server.keep(file.filename or "", file.data))
        if rest[0] not in self.server.kept:
            return None
        return self.server.kept[rest[0]][1] if rest[1:] else self._openai_file(rest[0])

    def _openai_file(self, id_: str) -> Any:
        name, data = self.server.kept[id_]
        return {"id": id_, "object": "file", "bytes": len(data), "created_at": 1, "filename": name, "purpose": "batch"}

    def openai_batches(self, method: str, rest: list[str], body: bytes, _: str) -> Any:
        batches = self.server.batches
        if method == "post" and not rest:
            id_ = f"batch_{len(batches)}"
            batches[id_] = {"id": id_, "object": "batch", "status": "in_progress", "created_at": 1, **json.loads(body)}
            return batches[id_]
        found = batches.get(rest[0])
        if found is None or rest[1:] == ["cancel"] or self.server.hold_back or found["status"] == "completed":
            return found
        lines = self.server.kept[found["input_file_id"]][1].splitlines()
        output = self.server.keep("out", b"\n".join(json.dumps(_line_result(json.loads(line))).encode() for line in lines))
        counts = {"total": len(lines), "completed": len(lines), "failed": 0}
        found |= {"status": "completed", "completed_at": 2, "output_file_id": output, "request_counts": counts}
        return found


def _message_result(request: Any) -> Any:
    params = request["params"]
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": params["model"],
        "content": [{"type": "text", "text": "answered"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": TOKENS_IN, "output_tokens": TOKENS_OUT},
    }
    return {"custom_id": request["custom_id"], "result": {"type": "succeeded", "message": message}}


def _line_result(line: Any) -> Any:
    usage = {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT, "total_tokens": TOKENS_IN + TOKENS_OUT}
    choice = {"index": 0, "message": {"role": "assistant", "content": "answered"}, "finish_reason": "stop"}
    body = {"id": "c", "object": "chat.completion", "created": 1, "model": line["body"]["model"], "choices": [choice]}
    answered = {"status_code": 200, "request_id": "r", "body": {**body, "usage": usage}}
    return {"id": "batch_req_1", "custom_id": line["custom_id"], "response": answered, "error": None}
