"""What is asked for and what comes back: generations, embeddings and images. Names and fields are those of the official client.

More is kept than that client keeps: any parameter is sent, and calls of tools, reasoning and the trail of attempts come back.
`decisions.py` has the values of system-one.
"""

from __future__ import annotations

from typing import Any, ClassVar

from dragoman.gptrouter.base import Aliases, Model, Nested
from dragoman.gptrouter.enums import SearchContextSize, ThinkingType


class UserLocationApproximate(Model):
    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class UserLocation(Model):
    NESTED: ClassVar[Nested] = {"approximate": UserLocationApproximate}
    type: str | None = None
    approximate: UserLocationApproximate | None = None


class WebSearchOptions(Model):
    NESTED: ClassVar[Nested] = {"user_location": UserLocation}
    search_context_size: SearchContextSize | str | None = None
    user_location: UserLocation | dict[str, Any] | None = None


class ExtendedThinking(Model):
    type: ThinkingType | str
    budget_tokens: int | None = 1024


class GenerationParams(Model):
    """Messages with roles, or a prompt; and how to answer. A parameter that has no field here is sent too."""

    NESTED: ClassVar[Nested] = {"thinking": ExtendedThinking, "web_search_options": WebSearchOptions}
    messages: list[Any] | None = None
    prompt: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    user: str | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    functions: list[Any] | None = None
    function_call: dict[str, Any] | str | None = None
    tools: list[Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    tag: str | None = None
    user_id: str | None = None
    history_id: str | None = None
    appId: str | None = None  # noqa: N815 - its name there
    metadata: dict[str, Any] | None = None
    raw_event: bool | None = None
    thinking: ExtendedThinking | None = None
    colasce_into_thinking_tag: bool | None = None
    use_response_api: bool | None = None
    web_search_options: WebSearchOptions | None = None
    reasoning_effort: str | None = None
    output_config: dict[str, Any] | None = None


class ModelGenerationRequest(Model):
    """One candidate. Without an `order` it stands where it is in the list."""

    ALIASES: ClassVar[Aliases] = {
        "model_name": "modelName",
        "provider_name": "providerName",
        "prompt_params": "promptParams",
    }
    NESTED: ClassVar[Nested] = {"prompt_params": GenerationParams}
    model_name: str
    provider_name: str
    order: int | None = None
    prompt_params: GenerationParams | None = None


class GPTRouterMetadata(Model):
    """Whose call it is. Fields that are not listed go into `metadata`."""

    ALIASES: ClassVar[Aliases] = {"history_id": "historyId", "created_by_user_id": "createdByUserId"}
    tag: str | None = None
    history_id: str | None = None
    created_by_user_id: str | None = None
    appId: str | None = None  # noqa: N815 - its name there


class Usage(Model):
    """Tokens; and what else the server says of the way of the call: `attempts`, `warnings`."""

    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    total_tokens: int | None = None
    attempts: list[dict[str, Any]] | None = None
    warnings: list[dict[str, Any]] | None = None

    def __init__(self, **given: Any) -> None:
        """The counters may stand in `usage`, flat, or both."""
        nested = given.pop("usage", None)
        super().__init__(**{**(nested if isinstance(nested, dict) else {}), **given})


class Choice(Model):
    index: int = 0
    text: str = ""
    finish_reason: str = ""
    role: str | None = None
    function_call: Any = None
    tool_calls: list[dict[str, Any]] | None = None
    reasoning: str | None = None
    refusal: str | None = None
    citations: list[Any] | None = None


class GenerationResponse(Model):
    """`meta` is the usage. `attempts` in it tell who was asked before."""

    ALIASES: ClassVar[Aliases] = {"provider_id": "providerId", "model_id": "modelId"}
    NESTED: ClassVar[Nested] = {"choices": Choice, "meta": Usage}
    id: str
    choices: list[Choice]
    model: str
    provider_id: str | None = None
    model_id: str | None = None
    provider: str | None = None
    meta: Usage | None = None
    citations: list[str] | None = None
    cost: float | None = None


class ChunkedGenerationResponse(Model):
    """An event: `update` has `data["text"]`, `meta` the whole text with the usage, `generation_source` who spoke."""

    event: str
    data: dict[str, Any]
    id: str | None = None
    provider: str | None = None


class ModelRouterEmbeddingsGenerationParams(Model):
    input: list[str]


class ModelRouterEmbeddingsGenerationRequest(Model):
    ALIASES: ClassVar[Aliases] = {
        "prompt_params": "promptParams",
        "should_validate_token_count": "shouldValidateTokenCount",
    }
    NESTED: ClassVar[Nested] = {"prompt_params": ModelRouterEmbeddingsGenerationParams}
    model_name: str
    model_provider: str
    prompt_params: ModelRouterEmbeddingsGenerationParams
    should_validate_token_count: bool | None = False


class EmbeddingsChoice(Model):
    embedding: list[float]


class ModelRouterEmbeddingsGenerationResponse(Model):
    NESTED: ClassVar[Nested] = {"choices": EmbeddingsChoice, "meta": Usage}
    choices: list[EmbeddingsChoice]
    model: str | None = None
    meta: Usage | None = None


class ImageGenerationRequest(Model):
    ALIASES: ClassVar[Aliases] = {
        "model_name": "model",
        "provider_name": "imageVendor",
        "num_images": "numImages",
        "num_inference_steps": "numInferenceSteps",
        "app_id": "appId",
        "user_id": "createdByUserId",
        "history_id": "historyId",
    }
    model_name: str
    provider_name: str
    prompt: str
    num_images: int = 1
    width: int | None = None
    height: int | None = None
    num_inference_steps: int | None = None
    app_id: str | None = None
    user_id: str | None = None
    history_id: str | None = None
    feature: str | None = None


class ImageEditRequest(Model):
    ALIASES: ClassVar[Aliases] = {"model_name": "model", "num_images": "n", "response_format": "responseFormat"}
    image: str | list[str]
    prompt: str
    model_name: str = "gpt-image-1"
    mask: str | None = None
    num_images: int | None = 1
    quality: str | None = "high"
    response_format: str | None = None
    size: str | None = "1024x1024"
    user: str | None = None


class ImageGenerationResponse(Model):
    """One image, at an address or in base64."""

    ALIASES: ClassVar[Aliases] = {"finish_reason": "finishReason"}
    url: str | None = None
    base64: str | None = None
    finish_reason: str | None = "SUCCESS"
