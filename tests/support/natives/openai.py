"""Answers and streams of OpenAI's three formats, after https://platform.openai.com/docs/api-reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from support.natives.base import Call, Json, Said, encoded, events, halves

# -------------------------------------------------------------------------------------------------------------- openai_chat
CHAT_FINISH = {word: word for word in ("stop", "length", "tool_calls", "content_filter")} | {"refusal": "stop"}


def chat_usage(said: Said) -> Json:
    given, made, cached, reasoned = said.counts
    details = {"prompt_tokens_details": {"cached_tokens": cached}, "completion_tokens_details": {"reasoning_tokens": reasoned}}
    return {"prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made, **details}


def chat_call(place: int, call: Call) -> Json:
    return {"id": f"call_{place}", "type": "function", "function": {"name": call.name, "arguments": encoded(call.arguments)}}


def chat_answer(said: Said) -> bytes:
    message: Json = {"role": "assistant", "content": said.text or None, "refusal": said.refusal or None}
    if said.thinking:
        message["reasoning_content"] = said.thinking
    if said.calls:
        message["tool_calls"] = [chat_call(place, call) for place, call in enumerate(said.calls)]
    choice = {"index": 0, "message": message, "finish_reason": CHAT_FINISH[said.finish], "logprobs": None}
    head = {"id": "a1", "object": "chat.completion", "created": 1_700_000_000, "model": "m"}
    return encoded({**head, "choices": [choice], "usage": chat_usage(said)}).encode()


def chat_stream(said: Said) -> bytes:
    deltas: list[Json] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in halves(said.thinking)]
    deltas += [{"content": piece} for piece in halves(said.text)]
    deltas += [{"refusal": piece} for piece in halves(said.refusal)]
    for place, call in enumerate(said.calls):
        head = chat_call(place, call)
        deltas.append({"tool_calls": [{"index": place, **head, "function": {"name": call.name, "arguments": ""}}]})
        pieces = halves(encoded(call.arguments))
        deltas += [{"tool_calls": [{"index": place, "function": {"arguments": piece}}]} for piece in pieces]
    head = {"id": "a1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m"}
    chunks = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": CHAT_FINISH[said.finish]}]})
    return events(*chunks, {**head, "choices": [], "usage": chat_usage(said)}) + b"data: [DONE]\n\n"


# --------------------------------------------------------------------------------------------------------- openai_responses
RESPONSE_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}


def response_items(said: Said) -> list[Json]:
    items: list[Json] = []
    if said.thinking:
        items.append({"id": "rs_1", "type": "reasoning", "summary": [{"type": "summary_text", "text": said.thinking}]})
    parts: list[Json] = [{"type": "output_text", "text": said.text, "annotations": []}] if said.text else []
    parts += [{"type": "refusal", "refusal": said.refusal}] if said.refusal else []
    if parts:
        items.append({"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": parts})
    items += [
        {
            "id": f"fc_{place}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{place}",
            "name": call.name,
            "arguments": encoded(call.arguments),
        }
        for place, call in enumerate(said.calls)
    ]
    return items


def response_object(said: Said) -> Json:
    given, made, cached, reasoned = said.counts
    cut = RESPONSE_CUT.get(said.finish)
    return {
        "id": "a1",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": "m",
        "status": "incomplete" if cut else "completed",
        "error": None,
        "incomplete_details": {"reason": cut} if cut else None,
        "output": response_items(said),
        "usage": {
            "input_tokens": given,
            "input_tokens_details": {"cached_tokens": cached},
            "output_tokens": made,
            "output_tokens_details": {"reasoning_tokens": reasoned},
            "total_tokens": given + made,
        },
    }


def response_answer(said: Said) -> bytes:
    return encoded(response_object(said)).encode()


def response_events(said: Said) -> Iterable[Json]:
    begun = {**response_object(said), "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    for place, item in enumerate(response_items(said)):
        where = {"output_index": place, "item_id": item["id"]}
        yield {"type": "response.output_item.added", "output_index": place, "item": {**item, **EMPTY_ITEM[item["type"]]}}
        yield from ({**event, **where} for event in ITEM_EVENTS[item["type"]](item))
        yield {"type": "response.output_item.done", "output_index": place, "item": item}
    whole = response_object(said)
    yield {"type": f"response.{whole['status']}", "response": whole}


EMPTY_ITEM: dict[str, Json] = {"reasoning": {"summary": []}, "message": {"content": []}, "function_call": {"arguments": ""}}


def reasoning_events(item: Json) -> Iterable[Json]:
    (part,) = item["summary"]
    yield {"type": "response.reasoning_summary_part.added", "summary_index": 0, "part": {**part, "text": ""}}
    for piece in halves(part["text"]):
        yield {"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": piece}
    yield {"type": "response.reasoning_summary_text.done", "summary_index": 0, "text": part["text"]}
    yield {"type": "response.reasoning_summary_part.done", "summary_index": 0, "part": part}


def message_events(item: Json) -> Iterable[Json]:
    for place, part in enumerate(item["content"]):
        name, key = ("output_text", "text") if part["type"] == "output_text" else ("refusal", "refusal")
        yield {"type": "response.content_part.added", "content_index": place, "part": {**part, key: ""}}
        yield from ({"type": f"response.{name}.delta", "content_index": place, "delta": piece} for piece in halves(part[key]))
        yield {"type": f"response.{name}.done", "content_index": place, key: part[key]}
        yield {"type": "response.content_part.done", "content_index": place, "part": part}


def call_events(item: Json) -> Iterable[Json]:
    for piece in halves(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", "delta": piece}
    yield {"type": "response.function_call_arguments.done", "arguments": item["arguments"]}


ITEM_EVENTS: dict[str, Callable[[Json], Iterable[Json]]] = {
    "reasoning": reasoning_events,
    "message": message_events,
    "function_call": call_events,
}


def response_stream(said: Said) -> bytes:
    return events(*response_events(said), named=True)


# ------------------------------------------------------------------------------------------------------- openai_completions
def completion_answer(said: Said) -> bytes:
    choice = {"index": 0, "text": said.text, "logprobs": None, "finish_reason": CHAT_FINISH[said.finish]}
    head = {"id": "a1", "object": "text_completion", "created": 1_700_000_000, "model": "m"}
    return encoded({**head, "choices": [choice], "usage": chat_usage(said)}).encode()


def completion_stream(said: Said) -> bytes:
    head = {"id": "a1", "object": "text_completion", "created": 1_700_000_000, "model": "m"}
    chunks = [{"text": piece, "finish_reason": None} for piece in halves(said.text)]
    chunks.append({"text": "", "finish_reason": CHAT_FINISH[said.finish]})
    written = [{**head, "choices": [{"index": 0, "logprobs": None, **chunk}]} for chunk in chunks]
    return events(*written, {**head, "choices": [], "usage": chat_usage(said)}) + b"data: [DONE]\n\n"
