"""A client of GPTRouter's API, of this gateway or any other server of it, by the names of the official one.

from dragoman.gptrouter import GPTRouterClient, GenerationParams, ModelGenerationRequest

client = GPTRouterClient(base_url="http://127.0.0.1:4000", api_key="...")
messages = [{"role": "user", "content": "Say hi"}]
answer = client.generate(ordered_generation_requests=[
    ModelGenerationRequest(model_name="gpt-4o", provider_name="chat_openai", order=1,
                           prompt_params=GenerationParams(messages=messages)),
    ModelGenerationRequest(model_name="claude-haiku-4-5-20251001", provider_name="chat_anthropic", order=2),
])
print(answer.choices[0].text)
"""

from __future__ import annotations

from dragoman.gptrouter.client import GPTRouterClient
from dragoman.gptrouter.constants import DEFAULT_API_BASE_URL
from dragoman.gptrouter.decisions import (
    ModelRouterSystemOneGenerationRequest,
    ModelRouterSystemOneGenerationResponse,
    SystemOneChoiceAnswer,
    SystemOneChoiceOption,
    SystemOneChoiceQuestion,
    SystemOneGenerationParams,
    SystemOneInputImage,
    SystemOneInputText,
    SystemOneJsonState,
    SystemOneMessagesState,
    SystemOneNoulAnswer,
    SystemOneNoulQuestion,
    SystemOneRefusalAnswer,
    SystemOneScoreAnswer,
    SystemOneScoreLevel,
    SystemOneScoreQuestion,
    SystemOneTextState,
    SystemOneUserMessage,
)
from dragoman.gptrouter.enums import GPTRouterEngines, ModelsEnum, ProvidersEnum, StreamingEventType
from dragoman.gptrouter.exceptions import (
    GPTRouterApiTimeoutError,
    GPTRouterBadRequestError,
    GPTRouterConnectionError,
    GPTRouterError,
    GPTRouterForbiddenError,
    GPTRouterInternalServerError,
    GPTRouterNotAvailableError,
    GPTRouterStreamingError,
    GPTRouterTooManyRequestsError,
    GPTRouterUnauthorizedError,
)
from dragoman.gptrouter.models import (
    ChunkedGenerationResponse,
    GenerationParams,
    GenerationResponse,
    GPTRouterMetadata,
    ImageEditRequest,
    ImageGenerationRequest,
    ModelGenerationRequest,
    ModelRouterEmbeddingsGenerationParams,
    ModelRouterEmbeddingsGenerationRequest,
)

__all__ = [
    "DEFAULT_API_BASE_URL",
    "ChunkedGenerationResponse",
    "GPTRouterApiTimeoutError",
    "GPTRouterBadRequestError",
    "GPTRouterClient",
    "GPTRouterConnectionError",
    "GPTRouterEngines",
    "GPTRouterError",
    "GPTRouterForbiddenError",
    "GPTRouterInternalServerError",
    "GPTRouterMetadata",
    "GPTRouterNotAvailableError",
    "GPTRouterStreamingError",
    "GPTRouterTooManyRequestsError",
    "GPTRouterUnauthorizedError",
    "GenerationParams",
    "GenerationResponse",
    "ImageEditRequest",
    "ImageGenerationRequest",
    "ModelGenerationRequest",
    "ModelRouterEmbeddingsGenerationParams",
    "ModelRouterEmbeddingsGenerationRequest",
    "ModelRouterSystemOneGenerationRequest",
    "ModelRouterSystemOneGenerationResponse",
    "ModelsEnum",
    "ProvidersEnum",
    "StreamingEventType",
    "SystemOneChoiceAnswer",
    "SystemOneChoiceOption",
    "SystemOneChoiceQuestion",
    "SystemOneGenerationParams",
    "SystemOneInputImage",
    "SystemOneInputText",
    "SystemOneJsonState",
    "SystemOneMessagesState",
    "SystemOneNoulAnswer",
    "SystemOneNoulQuestion",
    "SystemOneRefusalAnswer",
    "SystemOneScoreAnswer",
    "SystemOneScoreLevel",
    "SystemOneScoreQuestion",
    "SystemOneTextState",
    "SystemOneUserMessage",
]
