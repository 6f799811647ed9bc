"""What the package promises as a whole: its public names, and what importing it costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import requires

import pytest

import dragoman
from dragoman.core import errors

EXPORTED = """
APIConnectionError APIStatusError AsyncClient AsyncCompletionStream AuthenticationError BadGatewayError BadRequestError
CallError Choices Client CompletionStream ConfigurationError ConflictError ContentPolicyViolationError
ContextWindowExceededError CustomLLM CustomLLMError Delta DragomanError EmbeddingResponse GenericStreamingChunk ImageObject
ImageResponse InternalServerError Message ModelResponse ModelResponseStream NotFoundError PaymentRequiredError
PermissionDeniedError Provider Quirks RateLimitError RequestTooLargeError ResponseDecodeError Router ServiceUnavailableError
SpeechAudio StreamInterruptedError StreamingChoices Timeout Timeouts TranscriptionResponse UnprocessableEntityError
UnsupportedParamsError Usage __version__ acancel_batch acompletion acount_tokens acreate_batch acreate_file adecision
aembedding afile_content afile_delete afile_list afile_retrieve aimage_edit aimage_generation aimage_variation alist_batches
amoderation aocr arerank aretrieve_batch aspeech atranscription atranslation cancel_batch completion completion_cost
cost_per_token count_tokens create_batch create_file decision decode disable_cache embedding enable_cache encode file_content
file_delete file_list file_retrieve get_llm_provider get_max_tokens get_model_info get_supported_openai_params image_edit
image_generation image_variation list_batches model_cost moderation ocr register_model register_provider rerank retrieve_batch
speech stream_chunk_builder supports_assistant_prefill supports_audio_input supports_audio_output supports_function_calling
supports_parallel_function_calling supports_pdf_input supports_prompt_caching supports_reasoning supports_response_schema
supports_system_messages supports_tool_choice supports_video_input supports_vision supports_web_search token_counter
transcription translation trim_messages update_cache validate_environment
""".split()

HEAVY = {"asyncio", "httpx2", "ssl", "socket", "threading", "httptools", "uvicorn", "starlette", "click", "yaml", "pydantic"}

PROBE = """
import json, sys, threading
opened = []
sys.addaudithook(lambda name, args: opened.append(str(args[0])) if name in ("socket.connect", "socket.getaddrinfo") else
                 opened.append(str(args[:2])) if name == "open" and args[1] not in (None, "r", "rb") else None)
before = set(sys.modules)
import dragoman
print(json.dumps({"modules": sorted(set(sys.modules) - before), "opened": opened, "threads": threading.active_count()}))
"""


def test_public_names_are_these() -> None:
    assert sorted(dragoman.__all__) == sorted(EXPORTED)


@pytest.mark.parametrize("name", EXPORTED)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(dragoman, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = dragoman.no_such_name


def test_every_error_is_exported_or_the_gateways_own() -> None:
    own = {"GatewayError", "InvalidKeyError", "BudgetExceededError", "RateLimitExceededError", "GuardrailRejectedError"}
    tree = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.DragomanError)}
    assert tree - own - {"NoDeploymentError"} <= set(dragoman.__all__)


def test_importing_the_package_loads_no_library_and_does_nothing() -> None:
    run = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    seen = json.loads(run.stdout)
    assert not HEAVY & set(seen["modules"])
    assert seen["opened"] == []
    assert seen["threads"] == 1


def test_the_sdk_needs_two_libraries() -> None:
    core = [line for line in requires("dragoman") or [] if "extra ==" not in line]
    assert sorted(re.split(r"[<>=!~ ]", line)[0] for line in core) == ["httpx2", "msgspec"]
