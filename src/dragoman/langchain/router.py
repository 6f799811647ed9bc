"""`ChatLiteLLMRouter`: a chat model whose calls a router places, ours or one of the real `litellm`.

A router is whatever has `completion`, `acompletion` and a `model_list`. It owns retries and fallbacks: `max_retries` is passed
on only where it was given. Keys and addresses stay in the router and reach no trace.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Mapping
from typing import Any, ClassVar, Self

from pydantic import Field, PrivateAttr, model_validator

from dragoman.langchain.answers import Asked
from dragoman.langchain.chat import ChatLiteLLM
from dragoman.langchain.profile import key_variable, profile_of, speaks_responses, who_serves
from dragoman.langchain.serialization import register

_NO_MODEL = ""


class ChatLiteLLMRouter(ChatLiteLLM):
    """A model group of a router.

        ChatLiteLLMRouter(router=Router(model_list=[...]), model_name="gpt-4.1", temperature=0.1)

    Without `model` it is the first group of the router. `model_list` in place of `router` makes one of ours.
    """

    model: str = _NO_MODEL
    router: Any = Field(None, exclude=True, repr=False)
    model_list: list[dict[str, Any]] | None = Field(None, exclude=True, repr=False)

    _held: ClassVar[tuple[str, ...]] = ("client", "async_client", "router")
    _served: dict[str, tuple[str, str]] = PrivateAttr(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _take_router(cls, values: Any) -> Any:
        """A router, or one made of `model_list`; and its first group, if no model was named."""
        given = dict(values)
        for name in ("api_base", "base_url", "api_version", "custom_llm_provider"):
            if given.get(name) is not None:
                raise ValueError(f"{name} belongs to the deployments of the router, not to ChatLiteLLMRouter")
        if given.get("router") is None:
            if not given.get("model_list"):
                raise ValueError("ChatLiteLLMRouter needs router=Router(model_list=[...]), or the model_list itself")
            given["router"] = _made(given["model_list"])
        groups = _groups(given["router"])
        if not (given.get("model_name") or given.get("model")):
            given["model"] = next(iter(groups), _NO_MODEL)
        return given

    @model_validator(mode="after")
    def _check_responses(self) -> Self:
        """How a deployment is asked stands in its name, in the router; here it is only checked."""
        for entry in _entries(self.router) if self.use_responses_api else ():
            params = _params(entry)
            if entry.get("model_name") == self.model and not speaks_responses(*params):
                raise ValueError(
                    f"use_responses_api: {params[0]!r} of the model group {self.model} is not asked over the Responses API: "
                    "name it provider/responses/model in the router"
                )
        return self

    def set_default_model(self, name: str) -> None:
        """Ask this group from now on. Raises ValueError where the router has none of that name."""
        groups = _groups(self.router)
        if name not in groups:
            raise ValueError(f"the router has no model {name!r}; it has: {', '.join(groups)}")
        self.model = name

    @property
    def _llm_type(self) -> str:
        return "LiteLLMRouter"

    @property
    def lc_attributes(self) -> dict[str, Any]:
        """The router's deployments, with the names of variables for its keys."""
        return {"model_list": [_without_key(entry) for entry in _entries(self.router)]}

    # ---------------------------------------------------------------------------------------------------------- asking
    def _asked(self, overrides: Mapping[str, Any]) -> Asked:
        group = overrides.get("model") or overrides.get("model_name") or self.model
        provider, _ = self._serves(group)
        return Asked(model=group, provider=provider, headers=self.include_response_headers, routed=True)

    def _serves(self, group: str) -> tuple[str, str]:
        """(provider, model) of the group's first deployment."""
        if group not in self._served:
            first = next((entry for entry in _entries(self.router) if entry.get("model_name") == group), None)
            self._served[group] = who_serves(group) if first is None else _target(first)
        return self._served[group]

    def _providers(self, asked: Asked) -> frozenset[str]:
        served = (_target(entry)[0] for entry in _entries(self.router) if entry.get("model_name") == asked.model)
        return frozenset(served) or frozenset({asked.provider})

    def _controls(self) -> dict[str, Any]:
        told = super()._controls()
        if "max_retries" not in self.model_fields_set:
            told.pop("num_retries", None)
        return told

    def _placed(self, arguments: dict[str, Any]) -> dict[str, Any]:
        said = dict(arguments)
        said.pop("use_responses_api", None)
        if "max_retries" in said:
            said["num_retries"] = said.pop("max_retries")
        return said

    def _send(self, arguments: dict[str, Any]) -> Any:
        return self.router.completion(**self._placed(arguments))

    async def _asend(self, arguments: dict[str, Any]) -> Any:
        return await self.router.acompletion(**self._placed(arguments))

    # ---------------------------------------------------------------------------------------------------------- telling
    def _plain_name(self, asked: Asked) -> str:
        return asked.model

    def _resolve_model_profile(self) -> Any:
        provider, name = self._serves(self.model)
        return profile_of(self.base_model) if self.base_model else profile_of(name, provider)

    def __getstate__(self) -> dict[Any, Any]:
        state = super().__getstate__()
        return {**state, "__dict__": state["__dict__"] | {"model_list": _entries(self.router)}}

    def __setstate__(self, state: dict[Any, Any]) -> None:
        super().__setstate__(state)
        self.router = _made(self.model_list or [])


def _made(model_list: list[dict[str, Any]]) -> Any:
    """A router that nobody else knows and can close: its connections are closed when it is dropped."""
    from dragoman.client.router import Router  # noqa: PLC0415 - for those who bring no router of their own

    router = Router(model_list=model_list)
    weakref.finalize(router, router._client.close)  # noqa: SLF001 - its own `close` would keep it alive
    return router


def _entries(router: Any) -> list[dict[str, Any]]:
    """The router's model_list. LiteLLM's own warns of the attribute, and has no other that all its versions know."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return list(getattr(router, "model_list", None) or ())


def _groups(router: Any) -> list[str]:
    return list(dict.fromkeys(entry["model_name"] for entry in _entries(router)))


def _params(entry: Mapping[str, Any]) -> tuple[str, Any, Any]:
    """What tells who serves a deployment: model, provider, address."""
    params = entry.get("litellm_params") or {}
    return str(params.get("model") or ""), params.get("custom_llm_provider"), params.get("api_base")


def _target(entry: Mapping[str, Any]) -> tuple[str, str]:
    return who_serves(*_params(entry))


def _without_key(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A deployment as it may be written down: a key that stands in it becomes a reference to its provider's variable."""
    params = dict(entry.get("litellm_params") or {})
    variable = key_variable(_target(entry)[0])
    hidden = {name: _reference(value, variable) if _is_secret(name) else value for name, value in params.items()}
    return {**entry, "litellm_params": hidden}


def _reference(value: Any, variable: str) -> str:
    return value if isinstance(value, str) and value.startswith("os.environ/") else f"os.environ/{variable}"


def _is_secret(name: str) -> bool:
    return name.endswith(("api_key", "_secret", "_token", "_access_key", "_credentials")) or name == "extra_headers"


register(ChatLiteLLMRouter)
