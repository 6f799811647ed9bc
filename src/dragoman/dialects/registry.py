"""The name of a dialect -> the dialect. A file is imported when its dialect is first asked for, so unused ones cost nothing."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from dragoman.core.errors import ConfigurationError

_MODULES = {
    "openai_chat": "dragoman.dialects.openai_chat",
    "anthropic_messages": "dragoman.dialects.anthropic_messages",
    "openai_responses": "dragoman.dialects.openai_responses",
    "gptrouter": "dragoman.dialects.gptrouter",
    "gptrouter_decisions": "dragoman.dialects.gptrouter.decisions",
    "openai_embeddings": "dragoman.dialects.embeddings",
    "bedrock_converse": "dragoman.dialects.bedrock_converse",
    "anthropic_bedrock": "dragoman.dialects.anthropic_bedrock",
    "bedrock_embeddings": "dragoman.dialects.bedrock_embeddings",
    "gemini": "dragoman.dialects.gemini",
    "gemini_vertex": "dragoman.dialects.gemini_vertex",
    "gemini_embeddings": "dragoman.dialects.gemini_embeddings",
    "vertex_embeddings": "dragoman.dialects.vertex_embeddings",
    "anthropic_vertex": "dragoman.dialects.anthropic_vertex",
    "cohere_chat": "dragoman.dialects.cohere_chat",
    "ollama_chat": "dragoman.dialects.ollama_chat",
    "ollama_generate": "dragoman.dialects.ollama_generate",
    "huggingface_completions": "dragoman.dialects.huggingface_completions",
    "huggingface_embeddings": "dragoman.dialects.huggingface_embeddings",
    "huggingface_rerank": "dragoman.dialects.huggingface_rerank",
    "openai_completions": "dragoman.dialects.openai_completions",
    "replicate_chat": "dragoman.dialects.replicate_chat",
    "cohere_embeddings": "dragoman.dialects.cohere_embeddings",
    "perplexity_embeddings": "dragoman.dialects.perplexity_embeddings",
    "rerank": "dragoman.dialects.rerank",
    "cohere_rerank": "dragoman.dialects.cohere_rerank",
    "jina_rerank": "dragoman.dialects.jina_rerank",
    "voyage_rerank": "dragoman.dialects.voyage_rerank",
    "tei_rerank": "dragoman.dialects.tei_rerank",
    "nvidia_rerank": "dragoman.dialects.nvidia_rerank",
    "mistral_agents": "dragoman.dialects.mistral_agents",
    "mistral_ocr": "dragoman.dialects.mistral_ocr",
    "vertex_ocr": "dragoman.dialects.vertex_ocr",
    "openai_moderations": "dragoman.dialects.openai_moderations",
    "openai_decisions": "dragoman.dialects.openai_decisions",
    "systemone": "dragoman.dialects.systemone",
    "anthropic_count_tokens": "dragoman.dialects.anthropic_count_tokens",
    "anthropic_vertex_count_tokens": "dragoman.dialects.anthropic_vertex_count_tokens",
    "openai_count_tokens": "dragoman.dialects.openai_count_tokens",
    "gemini_count_tokens": "dragoman.dialects.gemini_count_tokens",
    "vertex_count_tokens": "dragoman.dialects.vertex_count_tokens",
    "bedrock_count_tokens": "dragoman.dialects.bedrock_count_tokens",
    "openai_models": "dragoman.dialects.openai_models",
    "anthropic_models": "dragoman.dialects.anthropic_models",
    "gemini_models": "dragoman.dialects.gemini_models",
    "ollama_models": "dragoman.dialects.ollama_models",
    "cohere_models": "dragoman.dialects.cohere_models",
    "openai_files": "dragoman.dialects.openai_files",
    "openai_batches": "dragoman.dialects.openai_batches",
    "anthropic_files": "dragoman.dialects.anthropic_files",
    "anthropic_batches": "dragoman.dialects.anthropic_batches",
    "ollama_embeddings": "dragoman.dialects.ollama_embeddings",
    "openai_images": "dragoman.dialects.openai_images",
    "openai_image_edits": "dragoman.dialects.openai_images.edits",
    "openai_image_variations": "dragoman.dialects.openai_images.variations",
    "openai_speech": "dragoman.dialects.openai_speech",
    "openai_transcriptions": "dragoman.dialects.openai_transcriptions",
    "openai_translations": "dragoman.dialects.openai_transcriptions.translations",
    "xai_image_edits": "dragoman.dialects.xai_image_edits",
    "openrouter_images": "dragoman.dialects.openrouter_images",
    "together_images": "dragoman.dialects.together_images",
    "hyperbolic_images": "dragoman.dialects.hyperbolic_images",
    "bfl_images": "dragoman.dialects.bfl_images",
    "fal_images": "dragoman.dialects.fal_images",
    "replicate_images": "dragoman.dialects.replicate_images",
    "gemini_images": "dragoman.dialects.gemini_images",
    "gemini_imagen": "dragoman.dialects.gemini_imagen",
    "bedrock_images": "dragoman.dialects.bedrock_images",
    "fireworks_images": "dragoman.dialects.fireworks_images",
    "stability_images": "dragoman.dialects.stability_images",
    "gemini_speech": "dragoman.dialects.gemini_speech",
    "vertex_images": "dragoman.dialects.vertex_images",
    "vertex_imagen": "dragoman.dialects.vertex_imagen",
    "vertex_speech": "dragoman.dialects.vertex_speech",
    "elevenlabs_speech": "dragoman.dialects.elevenlabs_speech",
    "elevenlabs_transcriptions": "dragoman.dialects.elevenlabs_transcriptions",
    "deepgram_speech": "dragoman.dialects.deepgram_speech",
    "deepgram_transcriptions": "dragoman.dialects.deepgram_transcriptions",
    "assemblyai_transcriptions": "dragoman.dialects.assemblyai_transcriptions",
    "fal_transcriptions": "dragoman.dialects.fal_transcriptions",
    "xai_transcriptions": "dragoman.dialects.xai_transcriptions",
}


@cache
def get(name: str) -> Any:
    """The dialect called `name` (see `base.Dialect`). Raises ConfigurationError that lists the names there are."""
    module = _MODULES.get(name)
    if module is None:
        raise ConfigurationError(f"no dialect is called {name!r}; there are: {', '.join(sorted(_MODULES))}")
    return import_module(module).DIALECT
