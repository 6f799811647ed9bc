"""Answers as each provider writes them, made of one small meaning: by hand after the vendors' references, by no dialect.

`ANSWERS` and `STREAMS` hold a writer for each wire format, `LACKS` what a format has no place for, `failures` its errors.
Used by the matrix of dialects.
"""

from __future__ import annotations

from collections.abc import Callable

from support.natives.base import Said
from support.natives.openai import (
    chat_answer,
    chat_stream,
    completion_answer,
    completion_stream,
    response_answer,
    response_stream,
)
from support.natives.others import (
    claude_answer,
    claude_stream,
    cohere_answer,
    cohere_stream,
    converse_answer,
    converse_stream,
    gemini_answer,
    gemini_stream,
    generate_answer,
    generate_stream,
    generation_answer,
    generation_stream,
    invoke_stream,
    ollama_answer,
    ollama_stream,
    replicate_answer,
    replicate_stream,
)

LACKS: dict[str, frozenset[str]] = {
    "openai_chat": frozenset(),
    "openai_completions": frozenset({"calls", "thinking", "refusal"}),
    "openai_responses": frozenset(),
    "anthropic_messages": frozenset({"content_filter"}),
    "anthropic_vertex": frozenset({"content_filter"}),
    "anthropic_bedrock": frozenset({"content_filter"}),
    "gemini": frozenset({"refusal"}),
    "gemini_vertex": frozenset({"refusal"}),
    "bedrock_converse": frozenset({"refusal", "reasoning tokens"}),
    "cohere_chat": frozenset({"refusal", "content_filter"}),
    "ollama_chat": frozenset({"refusal", "content_filter", "cached tokens", "reasoning tokens"}),
    "ollama_generate": frozenset({"calls", "refusal", "content_filter", "cached tokens", "reasoning tokens"}),
    "huggingface_completions": frozenset(
        {"calls", "thinking", "refusal", "content_filter", "cached tokens", "reasoning tokens"}
    ),
    "replicate_chat": frozenset(
        {"calls", "thinking", "refusal", "content_filter", "length", "cached tokens", "reasoning tokens"}
    ),
}
"""What answers of a format have no place for. Replicate's streams say no counts at all."""


def sayable(name: str, said: Said, *, stream: bool) -> Said | None:
    """What of this an answer of the format can say; None where it cannot say what it is about."""
    lacks = LACKS[name]
    about = {"calls": said.calls, "thinking": said.thinking, "refusal": said.refusal, said.finish: said.finish}
    if any(about[feature] for feature in lacks & about.keys()):
        return None
    given, made, cached, reasoned = said.counts
    counts = (given, made, cached * ("cached tokens" not in lacks), reasoned * ("reasoning tokens" not in lacks))
    return said._replace(counts=None if stream and name == "replicate_chat" else counts)


Writer = Callable[[Said], bytes]
ANSWERS: dict[str, Writer] = {
    "openai_chat": chat_answer,
    "anthropic_messages": claude_answer,
    "anthropic_bedrock": claude_answer,
    "anthropic_vertex": claude_answer,
    "openai_responses": response_answer,
    "gemini": gemini_answer,
    "gemini_vertex": gemini_answer,
    "bedrock_converse": converse_answer,
    "cohere_chat": cohere_answer,
    "ollama_chat": ollama_answer,
    "openai_completions": completion_answer,
    "replicate_chat": replicate_answer,
    "ollama_generate": generate_answer,
    "huggingface_completions": generation_answer,
}
STREAMS: dict[str, Writer] = {
    "openai_chat": chat_stream,
    "anthropic_messages": claude_stream,
    "anthropic_bedrock": invoke_stream,
    "anthropic_vertex": claude_stream,
    "openai_responses": response_stream,
    "gemini": gemini_stream,
    "gemini_vertex": gemini_stream,
    "bedrock_converse": converse_stream,
    "cohere_chat": cohere_stream,
    "ollama_chat": ollama_stream,
    "openai_completions": completion_stream,
    "replicate_chat": replicate_stream,
    "ollama_generate": generate_stream,
    "huggingface_completions": generation_stream,
}
