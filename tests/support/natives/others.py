"""Answers and streams of the formats of other makers and hosts, after their references."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable

from support.bedrock import frames
from support.natives.base import Call, Json, Said, encoded, events, halves
from support.natives.openai import chat_call

# ------------------------------------------------------------------------------------------------------- anthropic_messages
CLAUDE_FINISH = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "refusal": "refusal"}


def claude_blocks(said: Said) -> list[Json]:
    blocks: list[Json] = []
    if said.thinking:
        blocks.append({"type": "thinking", "thinking": said.thinking, "signature": "c2ln"})
    if said.text or said.refusal:
        blocks.append({"type": "text", "text": said.text or said.refusal})
    blocks += [
        {"type": "tool_use", "id": f"call_{place}", "name": call.name, "input": call.arguments}
        for place, call in enumerate(said.calls)
    ]
    return blocks


def claude_usage(said: Said) -> Json:
    given, _, cached, _ = said.counts
    return {"input_tokens": given - cached, "cache_read_input_tokens": cached, **claude_output(said)}


def claude_output(said: Said) -> Json:
    _, made, _, reasoned = said.counts
    return {"output_tokens": made, **({"output_tokens_details": {"thinking_tokens": reasoned}} if reasoned else {})}


def claude_answer(said: Said) -> bytes:
    head = {"id": "a1", "type": "message", "role": "assistant", "model": "m", "content": claude_blocks(said)}
    finish = {"stop_reason": CLAUDE_FINISH[said.finish], "stop_sequence": None}
    return encoded({**head, **finish, "usage": claude_usage(said)}).encode()


def claude_events(said: Said) -> Iterable[Json]:
    head = {"id": "a1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None}
    usage = {**claude_usage(said), "output_tokens": 1}
    yield {"type": "message_start", "message": {**head, "stop_sequence": None, "usage": usage}}
    for index, block in enumerate(claude_blocks(said)):
        empty, deltas = CLAUDE_DELTAS[block["type"]](block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        yield from ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": CLAUDE_FINISH[said.finish], "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": claude_output(said)}
    yield {"type": "message_stop"}


def thinking_deltas(block: Json) -> tuple[Json, list[Json]]:
    pieces = [{"type": "thinking_delta", "thinking": piece} for piece in halves(block["thinking"])]
    return {**block, "thinking": "", "signature": ""}, [*pieces, {"type": "signature_delta", "signature": block["signature"]}]


CLAUDE_DELTAS: dict[str, Callable[[Json], tuple[Json, list[Json]]]] = {
    "thinking": thinking_deltas,
    "text": lambda block: (
        {**block, "text": ""},
        [{"type": "text_delta", "text": piece} for piece in halves(block["text"])],
    ),
    "tool_use": lambda block: (
        {**block, "input": {}},
        [{"type": "input_json_delta", "partial_json": piece} for piece in halves(encoded(block["input"]))],
    ),
}


def claude_stream(said: Said) -> bytes:
    return events(*claude_events(said), named=True)


def invoke_stream(said: Said) -> bytes:
    """Bedrock hides Anthropic's events in base64, in frames."""
    return frames(*(("chunk", {"bytes": base64.b64encode(encoded(event).encode()).decode()}) for event in claude_events(said)))


# ------------------------------------------------------------------------------------------------------------------- gemini
GEMINI_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}


def gemini_body(parts: list[Json], said: Said, *, last: bool) -> Json:
    given, made, cached, reasoned = said.counts
    candidate: Json = {"content": {"role": "model", "parts": parts}, "index": 0}
    usage = {"promptTokenCount": given, "cachedContentTokenCount": cached, "thoughtsTokenCount": reasoned}
    usage |= {"candidatesTokenCount": made - reasoned, "totalTokenCount": given + made}
    if last:
        candidate["finishReason"] = GEMINI_FINISH[said.finish]
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m", "responseId": "a1"}


def gemini_calls(said: Said) -> list[Json]:
    return [{"functionCall": {"name": call.name, "args": call.arguments}} for call in said.calls]


def gemini_answer(said: Said) -> bytes:
    parts: list[Json] = [{"text": said.thinking, "thought": True}] if said.thinking else []
    parts += [{"text": said.text}] if said.text else []
    return encoded(gemini_body(parts + gemini_calls(said), said, last=True)).encode()


def gemini_stream(said: Said) -> bytes:
    parts: list[Json] = [{"text": piece, "thought": True} for piece in halves(said.thinking)]
    parts += [{"text": piece} for piece in halves(said.text)] + gemini_calls(said)
    return events(*(gemini_body([part], said, last=False) for part in parts), gemini_body([{"text": ""}], said, last=True))


# --------------------------------------------------------------------------------------------------------- bedrock_converse
CONVERSE_FINISH = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "content_filtered"}


def converse_blocks(said: Said) -> list[Json]:
    blocks: list[Json] = []
    if said.thinking:
        blocks.append({"reasoningContent": {"reasoningText": {"text": said.thinking, "signature": "c2ln"}}})
    blocks += [{"text": said.text}] if said.text else []
    blocks += [
        {"toolUse": {"toolUseId": f"call_{place}", "name": call.name, "input": call.arguments}}
        for place, call in enumerate(said.calls)
    ]
    return blocks


def converse_usage(said: Said) -> Json:
    given, made, cached, _ = said.counts
    return {
        "inputTokens": given - cached,
        "cacheReadInputTokens": cached,
        "outputTokens": made,
        "totalTokens": given + made,
    }


def converse_answer(said: Said) -> bytes:
    message = {"message": {"role": "assistant", "content": converse_blocks(said)}}
    end = {"stopReason": CONVERSE_FINISH[said.finish], "usage": converse_usage(said), "metrics": {"latencyMs": 1}}
    return encoded({"output": message, **end}).encode()


def converse_deltas(block: Json) -> Iterable[Json]:
    if "text" in block:
        yield from ({"text": piece} for piece in halves(block["text"]))
    elif "toolUse" in block:
        yield from ({"toolUse": {"input": piece}} for piece in halves(encoded(block["toolUse"]["input"])))
    else:
        thought = block["reasoningContent"]["reasoningText"]
        yield from ({"reasoningContent": {"text": piece}} for piece in halves(thought["text"]))
        yield {"reasoningContent": {"signature": thought["signature"]}}


def converse_stream(said: Said) -> bytes:
    sent: list[tuple[str, Json]] = [("messageStart", {"role": "assistant"})]
    for index, block in enumerate(converse_blocks(said)):
        if call := block.get("toolUse"):
            start = {"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}}
            sent.append(("contentBlockStart", {"contentBlockIndex": index, "start": start}))
        sent += [("contentBlockDelta", {"contentBlockIndex": index, "delta": delta}) for delta in converse_deltas(block)]
        sent.append(("contentBlockStop", {"contentBlockIndex": index}))
    sent.append(("messageStop", {"stopReason": CONVERSE_FINISH[said.finish]}))
    return frames(*sent, ("metadata", {"usage": converse_usage(said), "metrics": {"latencyMs": 1}}))


# -------------------------------------------------------------------------------------------------------------- cohere_chat
COHERE_FINISH = {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}


def cohere_usage(said: Said) -> Json:
    given, made, cached, reasoned = said.counts
    tokens = {"input_tokens": given, "output_tokens": made, "reasoning_tokens": reasoned}
    return {"billed_units": {"input_tokens": given, "output_tokens": made}, "tokens": tokens, "cached_tokens": cached}


def cohere_content(said: Said) -> list[Json]:
    thought: list[Json] = [{"type": "thinking", "thinking": said.thinking}] if said.thinking else []
    return [*thought, {"type": "text", "text": said.text}] if said.text and not said.calls else thought


def cohere_answer(said: Said) -> bytes:
    """What is said before a call is called a plan."""
    message: Json = {"role": "assistant", "content": cohere_content(said)}
    if said.calls:
        message |= {"tool_plan": said.text, "tool_calls": [chat_call(place, call) for place, call in enumerate(said.calls)]}
    return encoded(
        {"id": "a1", "message": message, "finish_reason": COHERE_FINISH[said.finish], "usage": cohere_usage(said)}
    ).encode()


def cohere_events(said: Said) -> Iterable[Json]:
    yield {"id": "a1", "type": "message-start", "delta": {"message": {"role": "assistant", "content": []}}}
    for index, block in enumerate(cohere_content(said)):
        key = block["type"]
        yield {"type": "content-start", "index": index, "delta": {"message": {"content": {"type": key, key: ""}}}}
        for piece in halves(block[key]):
            yield {"type": "content-delta", "index": index, "delta": {"message": {"content": {key: piece}}}}
        yield {"type": "content-end", "index": index}
    for piece in halves(said.text) if said.calls else ():
        yield {"type": "tool-plan-delta", "delta": {"message": {"tool_plan": piece}}}
    for index, call in enumerate(said.calls):
        head = chat_call(index, Call(call.name, {}))
        head["function"]["arguments"] = ""
        yield {"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": head}}}
        for piece in halves(encoded(call.arguments)):
            calls = {"function": {"arguments": piece}}
            yield {"type": "tool-call-delta", "index": index, "delta": {"message": {"tool_calls": calls}}}
        yield {"type": "tool-call-end", "index": index}
    yield {"type": "message-end", "delta": {"finish_reason": COHERE_FINISH[said.finish], "usage": cohere_usage(said)}}


def cohere_stream(said: Said) -> bytes:
    return events(*cohere_events(said), named=True)


# -------------------------------------------------------------------------------------------------------------- ollama_chat
OLLAMA_HEAD = {"model": "m", "created_at": "2026-01-02T03:04:05.67Z"}


def ollama_calls(said: Said) -> Json:
    calls = [{"function": {"name": call.name, "arguments": call.arguments}} for call in said.calls]
    return {"tool_calls": calls} if calls else {}


def ollama_end(said: Said) -> Json:
    return {
        "done": True,
        "done_reason": "length" if said.finish == "length" else "stop",
        "prompt_eval_count": said.counts[0],
        "eval_count": said.counts[1],
    }


def ollama_answer(said: Said) -> bytes:
    thought = {"thinking": said.thinking} if said.thinking else {}
    message = {"role": "assistant", "content": said.text, **thought, **ollama_calls(said)}
    return encoded({**OLLAMA_HEAD, "message": message, **ollama_end(said)}).encode()


def ollama_stream(said: Said) -> bytes:
    messages: list[Json] = [{"content": "", "thinking": piece} for piece in halves(said.thinking)]
    messages += [{"content": piece} for piece in halves(said.text)]
    messages += [{"content": "", **ollama_calls(said)}] if said.calls else []
    lines = [{**OLLAMA_HEAD, "message": {"role": "assistant", **message}, "done": False} for message in messages]
    end = {**OLLAMA_HEAD, "message": {"role": "assistant", "content": ""}, **ollama_end(said)}
    return "".join(encoded(line) + "\n" for line in [*lines, end]).encode()


# ----------------------------------------------------------------------------------------------------------- ollama_generate
def generate_answer(said: Said) -> bytes:
    thought = {"thinking": said.thinking} if said.thinking else {}
    return encoded({**OLLAMA_HEAD, "response": said.text, **thought, **ollama_end(said)}).encode()


def generate_stream(said: Said) -> bytes:
    pieces: list[Json] = [{"response": "", "thinking": piece} for piece in halves(said.thinking)]
    pieces += [{"response": piece} for piece in halves(said.text)]
    lines = [{**OLLAMA_HEAD, **piece, "done": False} for piece in pieces]
    return "".join(encoded(line) + "\n" for line in [*lines, {**OLLAMA_HEAD, "response": "", **ollama_end(said)}]).encode()


# --------------------------------------------------------------------------------------------------- huggingface_completions
def generation_details(said: Said) -> Json:
    return {"finish_reason": "length" if said.finish == "length" else "eos_token", "generated_tokens": said.counts[1]}


def generation_answer(said: Said) -> bytes:
    details = {**generation_details(said), "prefill": [{"text": "x"}] * said.counts[0]}
    return encoded([{"generated_text": said.text, "details": details}]).encode()


def generation_stream(said: Said) -> bytes:
    tokens = [{"token": {"text": piece, "special": False}, "generated_text": None} for piece in halves(said.text)]
    details = {**generation_details(said), "input_length": said.counts[0]}
    return events(*tokens, {"token": {"text": "</s>", "special": True}, "generated_text": said.text, "details": details})


# ----------------------------------------------------------------------------------------------------------- replicate_chat
def replicate_answer(said: Said) -> bytes:
    metrics = {"input_token_count": said.counts[0], "output_token_count": said.counts[1]}
    return encoded({"id": "a1", "status": "succeeded", "output": halves(said.text), "metrics": metrics}).encode()


def replicate_stream(said: Said) -> bytes:
    pieces = "".join(f"event: output\nid: {place}\ndata: {piece}\n\n" for place, piece in enumerate(halves(said.text)))
    return (pieces + "event: done\ndata: {}\n\n").encode()
