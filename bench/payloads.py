"""The request bodies of the benchmarks: a usual chat of about 940 bytes, the same streamed, and one of about 64 KB."""

from __future__ import annotations

import json

MODEL = "gpt-4o-mini"
PROSE = (
    "The harbour wakes before the town does. Gulls argue over the first boats, the ice machine coughs, and somebody is always "
    "looking for a rope that was here yesterday. "
)


def chat(turns: int, words: int, tools: int, *, stream: bool) -> bytes:
    text = (PROSE * (words // 28 + 1))[: words * 6]
    messages = [
        {"role": "system", "content": "You are a careful assistant who answers in plain words and says when you are not sure."}
    ]
    messages += [{"role": "user" if turn % 2 == 0 else "assistant", "content": f"{turn}: {text}"} for turn in range(turns)]
    body = {"model": MODEL, "messages": messages, "temperature": 0.7, "max_tokens": 256, "top_p": 0.95, "user": "user-8421"}
    if tools:
        body["tools"] = [tool(number) for number in range(tools)]
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return json.dumps(body, separators=(",", ":")).encode()


def tool(number: int) -> dict[str, object]:
    properties = {f"field_{index}": {"type": "string", "description": PROSE[: 60 + index]} for index in range(8)}
    return {
        "type": "function",
        "function": {
            "name": f"look_up_{number}",
            "description": PROSE,
            "parameters": {"type": "object", "properties": properties, "required": ["field_0"]},
        },
    }


BODIES = {
    "plain": chat(3, 35, 0, stream=False),
    "stream": chat(3, 35, 0, stream=True),
    "large": chat(41, 200, 12, stream=False),
}


def answer() -> bytes:
    """A chat completion of about 750 bytes, as HTTP."""
    message = {"role": "assistant", "content": (PROSE * 3)[:270], "refusal": None, "annotations": []}
    prompt, completion = {"cached_tokens": 0, "audio_tokens": 0}, {"reasoning_tokens": 0}
    details = {"prompt_tokens_details": prompt, "completion_tokens_details": completion}
    body = json.dumps(
        {
            "id": "chatcmpl-9xYk3mQpLr7TzWv2BnHs8dFj",
            "object": "chat.completion",
            "created": 1763942400,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 182, "completion_tokens": 57, "total_tokens": 239, **details},
            "service_tier": "default",
            "system_fingerprint": "fp_560af6e559",
        },
        separators=(",", ":"),
    ).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: req_1\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


def stream_pieces(chunks: int) -> list[bytes]:
    """A streamed completion as the reads it arrives in: the head, the chunks, the usage chunk with [DONE], the end."""
    envelope = {
        "id": "chatcmpl-9xYk3mQpLr7TzWv2BnHs8dFj",
        "object": "chat.completion.chunk",
        "created": 1763942400,
        "model": "gpt-4o-mini-2024-07-18",
        "service_tier": "default",
        "system_fingerprint": "fp_560af6e559",
    }

    def event(choices: list[object], usage: object) -> bytes:
        line = json.dumps({**envelope, "choices": choices, "usage": usage}, separators=(",", ":"))
        return f"data: {line}\n\n".encode()

    def delta(content: dict[str, str], finish: str | None) -> list[object]:
        return [{"index": 0, "delta": content, "logprobs": None, "finish_reason": finish}]

    usage = {"prompt_tokens": 182, "completion_tokens": chunks, "total_tokens": 182 + chunks}
    events = [event(delta({"content": " harbour"}, None), None)] * chunks
    events += [event(delta({}, "stop"), None), event([], usage) + b"data: [DONE]\n\n"]
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nx-request-id: req_1\r\n\r\n"
    return [head, *(b"%x\r\n%b\r\n" % (len(data), data) for data in events), b"0\r\n\r\n"]
