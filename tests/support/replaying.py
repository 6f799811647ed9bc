"""Which dialect reads a recording, why some are read by none, and what a replay of one gives: the tables of the report.

Every dialect's own tests replay its recordings in all slicings and field by field. Here each recording is read once, whole, so
that nobody's is forgotten.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dragoman.core import events as ev
from dragoman.core.errors import DragomanError, error_for
from dragoman.core.http import HttpResponse
from support.recordings import Entry, Exchange

# ------------------------------------------------------------------------------------------------------- whose dialect it is
OF_KIND = {
    "chat": "openai_chat",
    "agents_completions": "mistral_agents",
    "responses": "openai_responses",
    "responses_get": "openai_responses",
    "responses_input_tokens": "openai_count_tokens",
    "messages": "anthropic_messages",
    "generate_content": "gemini",
    "converse": "bedrock_converse",
    "chat_v2": "cohere_chat",
    "api_chat": "ollama_chat",
    "completions": "openai_completions",
    "fim": "openai_completions",
    "prediction_stream": "replicate_chat",
    "embeddings": "openai_embeddings",
    "embeddings_native": "ollama_embeddings",
    "api_generate": "ollama_generate",
    "embed_v2": "cohere_embeddings",
    "rerank": "jina_rerank",
    "rerank_v2": "cohere_rerank",
    "moderations": "openai_moderations",
    "ocr": "mistral_ocr",
    "images_generations": "openai_images",
    "images_edits": "openai_image_edits",
    "images_variations": "openai_image_variations",
    "poll": "bfl_images",
    "audio_speech": "openai_speech",
    "audio_transcriptions": "openai_transcriptions",
    "audio_translations": "openai_translations",
    "models": "openai_models",
    "count_tokens": "anthropic_count_tokens",
}
OF_PROVIDER = {
    ("vertex", "generate_content"): "gemini_vertex",
    ("vertex", "messages"): "anthropic_vertex",
    ("vertex", "embeddings"): "vertex_embeddings",
    ("vertex", "count_tokens"): "vertex_count_tokens",
    ("gemini", "embeddings"): "gemini_embeddings",
    ("gemini", "count_tokens"): "gemini_count_tokens",
    ("gemini", "models"): "gemini_models",
    ("bedrock", "count_tokens"): "bedrock_count_tokens",
    ("anthropic", "models"): "anthropic_models",
    ("ollama", "models"): "ollama_models",
    ("cohere", "models"): "cohere_models",
    ("perplexity", "embeddings"): "perplexity_embeddings",
    ("voyage", "rerank"): "voyage_rerank",
    ("bfl", "images_generations"): "bfl_images",
    ("fal", "images_generations"): "fal_images",
    ("hyperbolic", "images_generations"): "hyperbolic_images",
    ("openrouter", "images_generations"): "openrouter_images",
    ("together", "images_generations"): "together_images",
    ("xai", "images_edits"): "xai_image_edits",
    ("xai", "audio_transcriptions"): "xai_transcriptions",
    ("deepgram", "audio_speech"): "deepgram_speech",
    ("deepgram", "audio_transcriptions"): "deepgram_transcriptions",
    ("elevenlabs", "audio_transcriptions"): "elevenlabs_transcriptions",
    ("fal", "audio_transcriptions"): "fal_transcriptions",
}

ROW_OF = {
    "alibaba": "dashscope",
    "bfl": "black_forest_labs",
    "fireworks": "fireworks_ai",
    "nvidia": "nvidia_nim",
    "openai_compatible": "custom_openai",
    "together": "together_ai",
    "venice": "veniceai",
    "vercel_gateway": "vercel_ai_gateway",
    "vertex": "vertex_ai",
}
"""The folder of recordings -> the row, where the name is another."""

NO_ROW = {
    "chatgpt_codex": "ChatGPT's own backend is open to its own program alone",
    "github_copilot": "Copilot's own backend is open to its own programs alone",
    "mistralrs": "a server at home, asked as any OpenAI-compatible one",
    "snowflake": "its host is the customer's own, asked as any OpenAI-compatible one",
}
"""Who was recorded but is no provider of ours -> how it can be asked all the same."""

_COMPATIBLE = "its OpenAI-compatible endpoint; the row asks its own"
NOT_IN_THE_ROW = {
    ("anthropic", "openai_chat"): _COMPATIBLE,
    ("bedrock", "openai_chat"): _COMPATIBLE,
    ("bedrock", "openai_responses"): _COMPATIBLE,
    ("cohere", "openai_chat"): _COMPATIBLE,
    ("gemini", "openai_chat"): _COMPATIBLE,
    ("huggingface", "openai_completions"): "a partner's own path behind the router completes texts; the row's path chats",
    **{
        ("huggingface", f"huggingface_{kind}"): "the row hf_inference asks it"
        for kind in ("completions", "embeddings", "rerank")
    },
    ("llamacpp", "openai_transcriptions"): "it refuses: the model that was served does not hear",
    ("ollama", "openai_chat"): _COMPATIBLE,
    ("ollama", "openai_embeddings"): _COMPATIBLE,
}
"""Provider and dialect of recordings that its row does not name -> why."""

NOT_SPOKEN = {
    "agents": "Mistral's stored agents are no call to a model",
    "assistants": "an API that OpenAI has switched off for the Responses API",
    "caches": "Google's stored prefixes are no call to a model",
    "chat_v1": "an API that Cohere has switched off for v2",
    "collections": "Replicate's catalogue is no call to a model",
    "complete": "an API that Anthropic has switched off for Messages",
    "conversations": "OpenAI's stored conversations are no call to a model",
    "embed_v1": "an API that Cohere has switched off for v2",
    "file_search": "Google's stored files are no call to a model",
    "fine_tuning": "training is no call to a model",
    "generate_v1": "an API that Cohere has switched off for chat",
    "guardrail": "judging alone is no operation at Bedrock's row",
    "interactions": "a second API of models that answer generateContent",
    "model_info": "Hugging Face's catalogue is no call to a model",
    "predictions_cancel": "a prediction that is given up has no answer",
    "rerank_v1": "an API that Cohere has switched off for v2",
    "responses_compact": "a shortened conversation is no answer",
    "tokenize_v1": "the tokens themselves are no operation of the engine",
    "trainings": "training is no call to a model",
    "video": "videos are no operation of the engine",
}
"""Kinds that no dialect speaks -> why."""

NOT_ITS_DIALECT = {
    "azure-responses-reasoning-c36b68f8": "the host answered with a chat completion",
    "fal-images_generations-plain-e70f6712": "a video, under the same path as images",
    "fal-images_generations-plain-fec9e422": "a video, under the same path as images",
    "ollama-api_chat-plain-aa7063f8": "an answer of Ollama's OpenAI-compatible endpoint, filed under its own",
    "ollama-api_chat-tool_call-608c8c95": "an answer of Ollama's OpenAI-compatible endpoint, filed under its own",
    "openai-completions-plain-3b56213f": "an organisation's usage report, whose URL ends in the same word",
    "openai-embeddings-plain-68fc4e01": "an organisation's usage report, whose URL ends in the same word",
    "openai-responses_get-plain-9b676d7e": "the list of what was put in, not an answer",
    "openai-responses_get-plain-c29f18b4": "that an answer was deleted, not an answer",
}
"""Recordings that their kind's dialect must refuse -> why. One that it reads after all fails the report."""


class Unspoken(NamedTuple):
    reason: str


def dialect_of(entry: Entry, exchange: Exchange) -> str | Unspoken:
    """The name of the dialect that reads this recording, or why there is none."""
    kind = entry.kind[0]
    if entry.id in NOT_ITS_DIALECT:
        return Unspoken(NOT_ITS_DIALECT[entry.id])
    if kind in NOT_SPOKEN:
        return Unspoken(NOT_SPOKEN[kind])
    if kind in BY_REQUEST:
        return BY_REQUEST[kind](exchange)
    return OF_PROVIDER.get((entry.provider, kind)) or OF_KIND[kind]


def _invoked(exchange: Exchange) -> str | Unspoken:
    """InvokeModel takes every maker's own body."""
    if "anthropic_version" in (exchange.request_json or {}):
        return "anthropic_bedrock"
    if "embed" in (exchange.data["model"] or ""):
        return "bedrock_embeddings"
    if _is_converse(exchange):
        return "bedrock_converse"
    return Unspoken("a maker's own body: retired, or the same model is asked with one body for all by Converse")


def _is_converse(exchange: Exchange) -> bool:
    """Nova's own body is Converse's, but for its streams, which are wrapped once more."""
    answer = exchange.response_json
    return isinstance(answer, dict) and {"output", "stopReason", "usage"} <= answer.keys()


def _single_task(exchange: Exchange) -> str | Unspoken:
    """A model of Hugging Face does one thing, which the request or the answer shows."""
    asked, answer = exchange.request_json or {}, exchange.response_json
    inputs = asked.get("inputs")
    if "messages" in asked:
        return "openai_chat"
    if isinstance(inputs, dict) and "sentences" in inputs:
        return "huggingface_rerank"
    if isinstance(answer, list) and isinstance(answer[0], float):
        return "huggingface_embeddings"
    if isinstance(inputs, str | list) and "'score" not in str(answer):
        return "huggingface_completions"
    return Unspoken("classes, pictures and tables are no operations of the engine")


def _predicted(exchange: Exchange) -> str | Unspoken:
    """Replicate runs anything; the path or the input tells."""
    if "/models/meta/" in exchange.data["request"]["url"]:
        return "replicate_chat"
    asked = exchange.request_json
    if exchange.data["request"]["method"] == "GET" or "prompt" in asked["input"] or exchange.status == 422:
        return "replicate_images"
    return Unspoken("models of sound and drawings have no input in common there")


def _listed(exchange: Exchange) -> str | Unspoken:
    request, provider = exchange.data["request"], exchange.data["provider"]
    if request["method"] != "GET" or not request["url"].partition("?")[0].endswith(("/models", "/tags")):
        return Unspoken("one model's record, its change, or the list of a control plane; models are listed")
    return OF_PROVIDER.get((provider, "models"), "openai_models")


_OWN_FILES = Unspoken("files of Google's own kind are asked for by nobody but its own client, through the pass-through")
_OWN_BATCHES = Unspoken("a provider's own kind of batches, which its own client asks for through the pass-through")


def _filed(exchange: Exchange) -> str | Unspoken:
    if "/content" in exchange.data["request"]["url"] and exchange.status == 200:
        return Unspoken("what is in a file is handed on as it is")
    return {"anthropic": "anthropic_files", "gemini": _OWN_FILES}.get(exchange.data["provider"], "openai_files")


def _batched(exchange: Exchange) -> str | Unspoken:
    return {"anthropic": "anthropic_batches", "openai": "openai_batches"}.get(exchange.data["provider"], _OWN_BATCHES)


BY_REQUEST: dict[str, Callable[[Exchange], str | Unspoken]] = {
    "invoke": _invoked,
    "hf_task": _single_task,
    "predictions_create": _predicted,
    "predictions_get": _predicted,
    "models": _listed,
    "files": _filed,
    "batches": _batched,
}

# -------------------------------------------------------------------------------------------------------------- the replay
ASKED_FOR_NOTHING = {"llamacpp-rerank-plain-94c600c5": "the best 0 of the documents"}
HOLDS_A_FAILURE = {"error_in_200", "stream_error", "finish_error", "content_filter"}
"""Kinds whose answer with status 200 may be a failure that the dialect must tell as one."""

ANSWERED = "choices embeddings images results audio text input_tokens models pages files batches".split()
"""Where the answer of an operation has what was asked for."""


def replay(entry: Entry, exchange: Exchange, dialect: Any) -> str | None:
    """What went wrong; None where the dialect read the recording."""
    try:
        if entry.status >= 300:
            return _failure(entry.status, exchange, dialect)
        if _is_stream(exchange) and hasattr(dialect, "stream_decoder"):
            return _stream(entry, exchange, dialect)
        return _answer(exchange, dialect)
    except DragomanError as error:
        told = error.status_code != 502 and HOLDS_A_FAILURE.intersection(entry.kind)
        return None if told else f"{type(error).__name__}: {error}"


def _is_stream(exchange: Exchange) -> bool:
    kinds = exchange.data["kind"]
    return "streaming" in kinds and exchange.data["response"]["body_encoding"] != "json" and kinds[0] not in BINARY


BINARY = ("audio_transcriptions", "predictions_create")
"""Kinds whose streams are read whole, or are only announced by the answer."""


def _failure(status: int, exchange: Exchange, dialect: Any) -> str | None:
    detail = dialect.decode_error(status, exchange.response_bytes)
    error = error_for(status, detail)
    return None if detail.message and error.status_code == status else f"{type(error).__name__} without a message or status"


def _stream(entry: Entry, exchange: Exchange, dialect: Any) -> str | None:
    decoder = dialect.stream_decoder()
    last = [*decoder.feed(exchange.response_bytes), *decoder.close()][-1]
    told = isinstance(last, ev.StreamError) and not last.broken and HOLDS_A_FAILURE.intersection(entry.kind)
    return None if told or isinstance(last, ev.ResponseEnd) else f"ends in {last}"


def _answer(exchange: Exchange, dialect: Any) -> str | None:
    body = exchange.response_bytes
    if exchange.data["request"]["url"].endswith("/results"):
        results = [dialect.read_result(line) for line in body.splitlines()]
        return None if results else "results with nothing in them"
    if hasattr(dialect, "poll") and dialect.poll(HttpResponse(status=exchange.status, body=body)) is not None:
        return None
    read = dialect.decode_response
    binary = getattr(dialect, "decode_binary", False)
    answer = read(body, exchange.headers.get("content-type", "")) if binary else read(body)
    held = exchange.id in ASKED_FOR_NOTHING or any(getattr(answer, name, None) for name in ANSWERED)
    return None if held else "an answer with nothing in it"
