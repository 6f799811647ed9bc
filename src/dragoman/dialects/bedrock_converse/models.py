"""What the families of models on Bedrock take beyond Converse's own parameters. Data; asked by the request writers.

A model is known by a piece of its id, which stands in foundation models (`anthropic.claude-...`), in inference profiles
(`us.anthropic.claude-...`) and in their ARNs alike. An application inference profile's ARN tells nothing: such a model gets
what every model takes, and the rest through `additionalModelRequestFields`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal

from msgspec import Struct

ReasoningStyle = Literal["none", "thinking", "reasoningConfig", "reasoning_effort", "reasoning_config"]


class Family(Struct, frozen=True, kw_only=True):
    """`fields`: parameter of ours -> its path in additionalModelRequestFields. `reasoning`: how one asks it to think.

    `forces_tools`: toolChoice `any` and `tool` are obeyed. `replays`: it takes back thinking that is signed.
    """

    mark: str = ""
    fields: dict[str, tuple[str, ...]] = {}
    reasoning: ReasoningStyle = "none"
    forces_tools: bool = False
    replays: bool = False


_PENALTIES: dict[str, tuple[str, ...]] = {
    "frequency_penalty": ("frequency_penalty",),
    "presence_penalty": ("presence_penalty",),
}
_NOVA: dict[str, tuple[str, ...]] = {"top_k": ("inferenceConfig", "topK")}

FAMILIES = (
    Family(mark="anthropic.", fields={"top_k": ("top_k",)}, reasoning="thinking", forces_tools=True, replays=True),
    Family(mark="amazon.nova-2", fields=_NOVA, reasoning="reasoningConfig", forces_tools=True),
    Family(mark="amazon.nova", fields=_NOVA, forces_tools=True),
    Family(mark="mistral.", forces_tools=True),
    Family(mark="cohere.command-r", fields={"top_k": ("k",), "seed": ("seed",), **_PENALTIES}),
    Family(mark="ai21.jamba", fields=_PENALTIES),
    Family(mark="openai.", reasoning="reasoning_effort"),
    Family(mark="qwen.", reasoning="reasoning_config"),
)
"""Sources: the pages of each family under https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html."""

_ANY = Family(replays=True)

_WITHOUT_SCHEMA = (
    "*amazon.*",
    "*claude-v[12]*",
    "*claude-instant*",
    "*claude-3-*",
    "*claude-sonnet-4-2025*",
    "*claude-opus-4-2025*",
    "*claude-opus-4-1-*",
    "*meta.llama*",
    "*cohere.*",
    "*ai21.*",
    "*deepseek.r1*",
    "*writer.*",
    "*mistral.mistral-7b*",
    "*mistral.mixtral*",
    "*mistral.mistral-*-240?-*",
    "*mistral.pixtral-large-2502*",
)
"""Models without outputConfig.textFormat; later ones have it.
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html"""


def family_of(model: str) -> Family:
    return next((family for family in FAMILIES if family.mark in model), _ANY)


def holds_to_schema(model: str) -> bool:
    """Whether the model's answer itself can be held to a JSON schema."""
    return not any(fnmatchcase(model, pattern) for pattern in _WITHOUT_SCHEMA)
