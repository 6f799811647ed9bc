"""The shape of a stream chunk: only the fields that mean something here, so that decoding one costs a microsecond.

Scalars are `Any`, because compatible providers disagree on their types; what a field holds is judged where it is used.
Read by `stream_decode` alone.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct


class Function(Struct, gc=False):
    name: Any = None
    arguments: Any = None
    input: Any = None


class Call(Struct):
    index: Any = None
    id: Any = None
    type: Any = None
    function: Function | None = None
    custom: Function | None = None
    extra_content: Any = None


class Delta(Struct):
    content: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    tool_calls: list[Call] | None = None
    reasoning_details: Any = None
    thinking_blocks: Any = None
    function_call: Function | None = None
    refusal: Any = None
    annotations: Any = None
    images: Any = None
    audio: Any = None
    provider_specific_fields: Any = None
    extra_content: Any = None


class Choice(Struct):
    index: Any = None
    delta: Delta | None = None
    finish_reason: Any = None
    logprobs: Any = None
    stop_reason: Any = None


class Groq(Struct):
    usage: Any = None


class Chunk(Struct):
    id: Any = None
    object: Any = None
    created: Any = None
    model: Any = None
    system_fingerprint: Any = None
    service_tier: Any = None
    choices: list[Choice] | None = None
    usage: Any = None
    x_groq: Groq | None = None
    error: Any = None


decode_chunk = msgspec.json.Decoder(Chunk).decode

KNOWN_CHUNK = frozenset({*Chunk.__struct_fields__, "obfuscation", "p"} - {"x_groq"})
KNOWN_CHOICE = frozenset({*Choice.__struct_fields__, "message"} - {"stop_reason"})
KNOWN_DELTA = frozenset({*Delta.__struct_fields__, "role"})
"""What is not kept in `extra`: the fields above, the padding (`obfuscation`, `p`), and a `message` beside the delta, which
repeats what was streamed."""
