"""`ChatLiteLLM`: any provider's model as a LangChain chat model, through the SDK in this process.

Keys: an explicit `api_key`, else the provider's own field (`anthropic_api_key` ...), else the environment. A key that came from
the environment is left to the SDK, which sends it to its owner only. Nothing is set for the process; nothing is asked when a
model is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from langchain_core.utils import secret_from_env
from pydantic import Field, SecretStr, model_validator

from dragoman.core.http import Timeouts
from dragoman.langchain.answers import Asked
from dragoman.langchain.base import DragomanChatModel
from dragoman.langchain.profile import key_variable, over_responses, profile_of, who_serves
from dragoman.langchain.serialization import register

_KEY_FIELDS = {
    "openai_api_key": "OPENAI_API_KEY",
    "azure_api_key": "AZURE_API_KEY",
    "anthropic_api_key": "ANTHROPIC_API_KEY",
    "replicate_api_key": "REPLICATE_API_KEY",
    "cohere_api_key": "COHERE_API_KEY",
    "openrouter_api_key": "OPENROUTER_API_KEY",
    "huggingface_api_key": "HUGGINGFACE_API_KEY",
    "together_ai_api_key": "TOGETHERAI_API_KEY",
}
"""Field -> the variable it is filled from, which is also the name of the secret in a serialized model."""


def _from_env(field: str) -> Any:
    return Field(default_factory=secret_from_env(_KEY_FIELDS[field], default=None), repr=False)


class ChatLiteLLM(DragomanChatModel):
    """A chat model by its name, "provider/model".

        ChatLiteLLM(model="anthropic/claude-sonnet-4-5", temperature=0.1).invoke("hello")

    `model_name` is the same as `model`, `base_url` as `api_base`, `timeout` as `request_timeout`. `api_version` is Azure's.
    `base_model` names the model in the catalog where a deployment is called something else. `use_responses_api` asks over
    OpenAI's Responses API; a model that has no other is asked there anyway.
    """

    model: str = "gpt-3.5-turbo"
    api_key: SecretStr | None = Field(None, repr=False)
    openai_api_key: SecretStr | None = _from_env("openai_api_key")
    azure_api_key: SecretStr | None = _from_env("azure_api_key")
    anthropic_api_key: SecretStr | None = _from_env("anthropic_api_key")
    replicate_api_key: SecretStr | None = _from_env("replicate_api_key")
    cohere_api_key: SecretStr | None = _from_env("cohere_api_key")
    openrouter_api_key: SecretStr | None = _from_env("openrouter_api_key")
    huggingface_api_key: SecretStr | None = _from_env("huggingface_api_key")
    together_ai_api_key: SecretStr | None = _from_env("together_ai_api_key")
    api_base: str | None = None
    api_version: str | None = None
    organization: str | None = None
    custom_llm_provider: str | None = None
    base_model: str | None = None
    use_responses_api: bool | None = None

    @model_validator(mode="after")
    def _check_responses(self) -> Self:
        if self.use_responses_api:
            over_responses(self.model, self.custom_llm_provider, self.api_base)
        return self

    @property
    def model_name(self) -> str:
        """The same as `model`."""
        return self.model

    @model_name.setter
    def model_name(self, name: str) -> None:
        self.model = name

    @property
    def _llm_type(self) -> str:
        return "litellm-chat"

    @property
    def lc_secrets(self) -> dict[str, str]:
        return {"api_key": key_variable(self._asked({}).provider), **_KEY_FIELDS}

    # ---------------------------------------------------------------------------------------------------------- asking
    def _asked(self, overrides: Mapping[str, Any]) -> Asked:
        model = overrides.get("model") or overrides.get("model_name") or self.model
        provider = overrides.get("custom_llm_provider") or self.custom_llm_provider
        served_by, _ = who_serves(model, provider, overrides.get("api_base") or self.api_base)
        return Asked(model=model, provider=served_by, headers=self.include_response_headers)

    def _controls(self) -> dict[str, Any]:
        headers = dict(self.extra_headers or {})
        if self.organization:
            headers.setdefault("openai-organization", self.organization)
        told = {
            "model": self.model,
            "timeout": self.request_timeout,
            "num_retries": self.max_retries,
            "api_base": self.api_base,
            "api_version": self.api_version,
            "custom_llm_provider": self.custom_llm_provider,
            "extra_headers": headers or None,
        }
        return {name: value for name, value in told.items() if value is not None}

    def _placed(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """With the key of whoever is asked now, which a call's own `model` may have changed."""
        said = dict(arguments)
        if "max_retries" in said:
            said["num_retries"] = said.pop("max_retries")
        if isinstance(said.get("timeout"), tuple):
            connect, read = said["timeout"]
            said["timeout"] = Timeouts(connect=connect, first_token=read, idle=read)
        if said.pop("use_responses_api", self.use_responses_api):
            said["model"] = over_responses(said["model"], said.get("custom_llm_provider"), said.get("api_base"))
        key = said.get("api_key") or self.api_key or self._own_key(said)
        if key is not None:
            said["api_key"] = key.get_secret_value() if isinstance(key, SecretStr) else key
        return said

    def _own_key(self, said: Mapping[str, Any]) -> SecretStr | None:
        """The provider's field, if it was given: what came from the environment the SDK reads itself."""
        provider, _ = who_serves(said["model"], said.get("custom_llm_provider"), said.get("api_base"))
        field = f"{provider}_api_key"
        key: SecretStr | None = getattr(self, field) if field in self.model_fields_set & _KEY_FIELDS.keys() else None
        return key

    def _send(self, arguments: dict[str, Any]) -> Any:
        return self._complete(**self._placed(arguments))

    async def _asend(self, arguments: dict[str, Any]) -> Any:
        return await self._acomplete(**self._placed(arguments))

    # ---------------------------------------------------------------------------------------------------------- telling
    def _plain_name(self, asked: Asked) -> str:
        return who_serves(asked.model, self.custom_llm_provider, self.api_base)[1]

    def _resolve_model_profile(self) -> Any:
        if self.base_model is not None:
            return profile_of(self.base_model)
        return profile_of(self.model, self.custom_llm_provider)


register(ChatLiteLLM)
