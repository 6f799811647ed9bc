"""The values of system-one: questions about a state, and answers with probabilities, by the names of the official client."""

from __future__ import annotations

from typing import Any, ClassVar

from dragoman.gptrouter.base import Aliases, Model, Nested
from dragoman.gptrouter.models import Usage

Told = str | dict[str, Any] | list[Any]


class SystemOneTextState(Model):
    text: str
    kind: str = "text"


class SystemOneJsonState(Model):
    value: dict[str, Any] | list[Any]
    kind: str = "json"


class SystemOneInputText(Model):
    text: str
    type: str = "input_text"


class SystemOneInputImage(Model):
    image_url: str
    type: str = "input_image"


class SystemOneUserMessage(Model):
    content: str | list[Any]
    role: str = "user"


class SystemOneMessagesState(Model):
    NESTED: ClassVar[Nested] = {"messages": SystemOneUserMessage}
    messages: list[SystemOneUserMessage]
    kind: str = "messages"


class SystemOneNoulQuestion(Model):
    """How likely is it true? `criteria`: {"true": ..., "false": ...}."""

    instructions: Told
    type: str = "noul"
    criteria: dict[str, Any] | None = None


class SystemOneChoiceOption(Model):
    value: str
    description: Told | None = None


class SystemOneChoiceQuestion(Model):
    ALIASES: ClassVar[Aliases] = {"value_type": "valueType"}
    NESTED: ClassVar[Nested] = {"options": SystemOneChoiceOption}
    instructions: Told
    options: list[SystemOneChoiceOption]
    type: str = "choice"
    value_type: str | None = None


class SystemOneScoreLevel(Model):
    label: str
    description: Told | None = None


class SystemOneScoreQuestion(Model):
    NESTED: ClassVar[Nested] = {"levels": SystemOneScoreLevel}
    instructions: Told
    levels: list[SystemOneScoreLevel]
    type: str = "score"


class SystemOneGenerationParams(Model):
    """`questions`: a name for each -> the question."""

    state: Any
    questions: dict[str, Any]


class ModelRouterSystemOneGenerationRequest(Model):
    ALIASES: ClassVar[Aliases] = {
        "prompt_params": "promptParams",
        "should_validate_token_count": "shouldValidateTokenCount",
    }
    NESTED: ClassVar[Nested] = {"prompt_params": SystemOneGenerationParams}
    model_name: str
    model_provider: str
    prompt_params: SystemOneGenerationParams
    should_validate_token_count: bool | None = False


class SystemOneNoulAnswer(Model):
    noul: float
    type: str = "noul"


class SystemOneChoiceAnswer(Model):
    choice: bool | str
    probabilities: dict[str, float]
    confidence: float
    type: str = "choice"


class SystemOneScoreAnswer(Model):
    score: float
    legend: dict[str, Any]
    probabilities: dict[str, float]
    confidence: float
    type: str = "score"


class SystemOneRefusalAnswer(Model):
    type: str = "refusal"


_ANSWERS: dict[str, type[Model]] = {
    "noul": SystemOneNoulAnswer,
    "choice": SystemOneChoiceAnswer,
    "score": SystemOneScoreAnswer,
    "refusal": SystemOneRefusalAnswer,
}


class ModelRouterSystemOneGenerationResponse(Model):
    ALIASES: ClassVar[Aliases] = {"provider_id": "providerId", "model_id": "modelId"}
    NESTED: ClassVar[Nested] = {"meta": Usage}
    model: str
    answers: dict[str, Any]
    provider_id: str | None = None
    model_id: str | None = None
    cost: float | None = None
    meta: Usage | None = None

    def __init__(self, **given: Any) -> None:
        """Answers are read by their type."""
        super().__init__(**given)
        self.answers = {name: _answer(answer) for name, answer in self.answers.items()}


def _answer(value: Any) -> Any:
    kind = _ANSWERS.get(value.get("type", "")) if isinstance(value, dict) else None
    return value if kind is None else kind.model_validate(value)
