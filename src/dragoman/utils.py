"""The helper functions under the name by which programs written for LiteLLM import them: `from dragoman.utils import ...`.

The same functions that the package has; nothing else is here, and `import dragoman` does not load it.
"""

from __future__ import annotations

from dragoman.client.costs import (
    completion_cost,
    cost_per_token,
)
from dragoman.client.helpers import (
    decode,
    encode,
    stream_chunk_builder,
    token_counter,
    trim_messages,
)
from dragoman.client.models import (
    get_llm_provider,
    get_max_tokens,
    get_model_info,
    get_supported_openai_params,
    model_cost,
    register_model,
    supports_assistant_prefill,
    supports_audio_input,
    supports_audio_output,
    supports_function_calling,
    supports_parallel_function_calling,
    supports_pdf_input,
    supports_prompt_caching,
    supports_reasoning,
    supports_response_schema,
    supports_system_messages,
    supports_tool_choice,
    supports_video_input,
    supports_vision,
    supports_web_search,
    validate_environment,
)

__all__ = [
    "completion_cost",
    "cost_per_token",
    "decode",
    "encode",
    "get_llm_provider",
    "get_max_tokens",
    "get_model_info",
    "get_supported_openai_params",
    "model_cost",
    "register_model",
    "stream_chunk_builder",
    "supports_assistant_prefill",
    "supports_audio_input",
    "supports_audio_output",
    "supports_function_calling",
    "supports_parallel_function_calling",
    "supports_pdf_input",
    "supports_prompt_caching",
    "supports_reasoning",
    "supports_response_schema",
    "supports_system_messages",
    "supports_tool_choice",
    "supports_video_input",
    "supports_vision",
    "supports_web_search",
    "token_counter",
    "trim_messages",
    "validate_environment",
]
