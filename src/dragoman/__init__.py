"""One call to any language model: an SDK and a gateway that speak every provider's dialect.

    import dragoman
    dragoman.completion("local/smollm2-135m", [{"role": "user", "content": "What is the capital of France?"}])

Names are resolved when they are first used, so `import dragoman` costs next to nothing. `import dragoman as litellm` works
for what is listed here. Settings are attributes: `drop_params`, `num_retries`, `request_timeout`, `api_key`, `api_base`,
`cache`, `custom_provider_map`, `callbacks`, `success_callback`, `failure_callback`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dragoman.caching import Cache
    from dragoman.client.caching import disable_cache as disable_cache
    from dragoman.client.caching import enable_cache as enable_cache
    from dragoman.client.caching import update_cache as update_cache
    from dragoman.client.client import AsyncClient as AsyncClient
    from dragoman.client.client import Client as Client
    from dragoman.client.costs import completion_cost as completion_cost
    from dragoman.client.costs import cost_per_token as cost_per_token
    from dragoman.client.custom import CustomLLM as CustomLLM
    from dragoman.client.custom import CustomLLMError as CustomLLMError
    from dragoman.client.custom import GenericStreamingChunk as GenericStreamingChunk
    from dragoman.client.files import acancel_batch as acancel_batch
    from dragoman.client.files import acreate_batch as acreate_batch
    from dragoman.client.files import acreate_file as acreate_file
    from dragoman.client.files import afile_content as afile_content
    from dragoman.client.files import afile_delete as afile_delete
    from dragoman.client.files import afile_list as afile_list
    from dragoman.client.files import afile_retrieve as afile_retrieve
    from dragoman.client.files import alist_batches as alist_batches
    from dragoman.client.files import aretrieve_batch as aretrieve_batch
    from dragoman.client.files import cancel_batch as cancel_batch
    from dragoman.client.files import create_batch as create_batch
    from dragoman.client.files import create_file as create_file
    from dragoman.client.files import file_content as file_content
    from dragoman.client.files import file_delete as file_delete
    from dragoman.client.files import file_list as file_list
    from dragoman.client.files import file_retrieve as file_retrieve
    from dragoman.client.files import list_batches as list_batches
    from dragoman.client.files import retrieve_batch as retrieve_batch
    from dragoman.client.functions import acompletion as acompletion
    from dragoman.client.functions import aembedding as aembedding
    from dragoman.client.functions import completion as completion
    from dragoman.client.functions import embedding as embedding
    from dragoman.client.helpers import decode as decode
    from dragoman.client.helpers import encode as encode
    from dragoman.client.helpers import stream_chunk_builder as stream_chunk_builder
    from dragoman.client.helpers import token_counter as token_counter
    from dragoman.client.helpers import trim_messages as trim_messages
    from dragoman.client.media import aimage_edit as aimage_edit
    from dragoman.client.media import aimage_generation as aimage_generation
    from dragoman.client.media import aimage_variation as aimage_variation
    from dragoman.client.media import aspeech as aspeech
    from dragoman.client.media import atranscription as atranscription
    from dragoman.client.media import atranslation as atranslation
    from dragoman.client.media import image_edit as image_edit
    from dragoman.client.media import image_generation as image_generation
    from dragoman.client.media import image_variation as image_variation
    from dragoman.client.media import speech as speech
    from dragoman.client.media import transcription as transcription
    from dragoman.client.media import translation as translation
    from dragoman.client.media_objects import ImageObject as ImageObject
    from dragoman.client.media_objects import ImageResponse as ImageResponse
    from dragoman.client.media_objects import SpeechAudio as SpeechAudio
    from dragoman.client.media_objects import TranscriptionResponse as TranscriptionResponse
    from dragoman.client.models import get_llm_provider as get_llm_provider
    from dragoman.client.models import get_max_tokens as get_max_tokens
    from dragoman.client.models import get_model_info as get_model_info
    from dragoman.client.models import get_supported_openai_params as get_supported_openai_params
    from dragoman.client.models import model_cost as model_cost
    from dragoman.client.models import register_model as register_model
    from dragoman.client.models import supports_assistant_prefill as supports_assistant_prefill
    from dragoman.client.models import supports_audio_input as supports_audio_input
    from dragoman.client.models import supports_audio_output as supports_audio_output
    from dragoman.client.models import supports_function_calling as supports_function_calling
    from dragoman.client.models import supports_parallel_function_calling as supports_parallel_function_calling
    from dragoman.client.models import supports_pdf_input as supports_pdf_input
    from dragoman.client.models import supports_prompt_caching as supports_prompt_caching
    from dragoman.client.models import supports_reasoning as supports_reasoning
    from dragoman.client.models import supports_response_schema as supports_response_schema
    from dragoman.client.models import supports_system_messages as supports_system_messages
    from dragoman.client.models import supports_tool_choice as supports_tool_choice
    from dragoman.client.models import supports_video_input as supports_video_input
    from dragoman.client.models import supports_vision as supports_vision
    from dragoman.client.models import supports_web_search as supports_web_search
    from dragoman.client.models import validate_environment as validate_environment
    from dragoman.client.objects import Choices as Choices
    from dragoman.client.objects import Delta as Delta
    from dragoman.client.objects import EmbeddingResponse as EmbeddingResponse
    from dragoman.client.objects import Message as Message
    from dragoman.client.objects import ModelResponse as ModelResponse
    from dragoman.client.objects import ModelResponseStream as ModelResponseStream
    from dragoman.client.objects import StreamingChoices as StreamingChoices
    from dragoman.client.objects import Usage as Usage
    from dragoman.client.operations import acount_tokens as acount_tokens
    from dragoman.client.operations import adecision as adecision
    from dragoman.client.operations import amoderation as amoderation
    from dragoman.client.operations import aocr as aocr
    from dragoman.client.operations import arerank as arerank
    from dragoman.client.operations import count_tokens as count_tokens
    from dragoman.client.operations import decision as decision
    from dragoman.client.operations import moderation as moderation
    from dragoman.client.operations import ocr as ocr
    from dragoman.client.operations import rerank as rerank
    from dragoman.client.router import Router as Router
    from dragoman.client.streams import AsyncCompletionStream as AsyncCompletionStream
    from dragoman.client.streams import CompletionStream as CompletionStream
    from dragoman.core.errors import *  # noqa: F403 - the error tree, listed below
    from dragoman.core.http import Timeouts as Timeouts
    from dragoman.providers.base import Provider as Provider
    from dragoman.providers.base import Quirks as Quirks
    from dragoman.providers.registry import register_provider as register_provider

__version__ = "0.1.0"

drop_params: bool | None = None
"""None: what a provider does not take is left out and reported in `response.warnings`. False: it is an error."""
num_retries: int | None = None
request_timeout: float | None = None
api_key: str | None = None
api_base: str | None = None
cache: Cache | None = None
"""Where answers are kept; see `dragoman.caching.Cache` and `enable_cache`."""
callbacks: list[Any] = []
"""Hooks that are told of every call: CustomLogger objects, and names ("otel", "langfuse"); see docs/observability.md."""
input_callback: list[Any] = []
success_callback: list[Any] = []
failure_callback: list[Any] = []
turn_off_message_logging: bool = False
"""Whether hooks are not told what was said."""
custom_provider_map: list[dict[str, Any]] = []
"""[{"provider": NAME, "custom_handler": a CustomLLM}]: providers that an object of yours answers for."""

_HOMES = {
    "dragoman.client.functions": ("acompletion", "aembedding", "completion", "embedding"),
    "dragoman.client.client": ("AsyncClient", "Client"),
    "dragoman.client.files": (
        "acancel_batch",
        "acreate_batch",
        "acreate_file",
        "afile_content",
        "afile_delete",
        "afile_list",
        "afile_retrieve",
        "alist_batches",
        "aretrieve_batch",
        "cancel_batch",
        "create_batch",
        "create_file",
        "file_content",
        "file_delete",
        "file_list",
        "file_retrieve",
        "list_batches",
        "retrieve_batch",
    ),
    "dragoman.client.caching": ("disable_cache", "enable_cache", "update_cache"),
    "dragoman.client.custom": ("CustomLLM", "CustomLLMError", "GenericStreamingChunk"),
    "dragoman.client.objects": (
        "Choices",
        "Delta",
        "EmbeddingResponse",
        "Message",
        "ModelResponse",
        "ModelResponseStream",
        "StreamingChoices",
        "Usage",
    ),
    "dragoman.client.router": ("Router",),
    "dragoman.client.streams": ("AsyncCompletionStream", "CompletionStream"),
    "dragoman.client.costs": ("completion_cost", "cost_per_token"),
    "dragoman.client.helpers": ("decode", "encode", "stream_chunk_builder", "token_counter", "trim_messages"),
    "dragoman.client.models": (
        "get_llm_provider",
        "get_max_tokens",
        "get_model_info",
        "get_supported_openai_params",
        "model_cost",
        "register_model",
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
        "validate_environment",
    ),
    "dragoman.client.media": (
        "aimage_edit",
        "aimage_generation",
        "aimage_variation",
        "aspeech",
        "atranscription",
        "atranslation",
        "image_edit",
        "image_generation",
        "image_variation",
        "speech",
        "transcription",
        "translation",
    ),
    "dragoman.client.media_objects": ("ImageObject", "ImageResponse", "SpeechAudio", "TranscriptionResponse"),
    "dragoman.client.operations": (
        "acount_tokens",
        "adecision",
        "amoderation",
        "aocr",
        "arerank",
        "count_tokens",
        "decision",
        "moderation",
        "ocr",
        "rerank",
    ),
    "dragoman.core.http": ("Timeouts",),
    "dragoman.providers.base": ("Provider", "Quirks"),
    "dragoman.providers.registry": ("register_provider",),
    "dragoman.core.errors": (
        "APIConnectionError",
        "APIStatusError",
        "AuthenticationError",
        "BadGatewayError",
        "BadRequestError",
        "CallError",
        "ConfigurationError",
        "ConflictError",
        "ContentPolicyViolationError",
        "ContextWindowExceededError",
        "DragomanError",
        "InternalServerError",
        "NotFoundError",
        "PaymentRequiredError",
        "PermissionDeniedError",
        "RateLimitError",
        "RequestTooLargeError",
        "ResponseDecodeError",
        "ServiceUnavailableError",
        "StreamInterruptedError",
        "Timeout",
        "UnprocessableEntityError",
        "UnsupportedParamsError",
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = sorted(["__version__", *_HOME_OF])  # noqa: PLE0605 - a list of names, made from the table above


def __getattr__(name: str) -> Any:
    if name == "exceptions":
        return import_module("dragoman.exceptions")
    module = _HOME_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'dragoman' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(module), name)
    return value


def __dir__() -> list[str]:
    return __all__
