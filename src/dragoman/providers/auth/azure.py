"""Azure: a token of Microsoft Entra by azure-identity's default chain (environment, workload and managed identity, CLI tools).

A token is kept until shortly before it expires, and fetched in a thread. A key or a token that somebody gives (AZURE_API_KEY,
AZURE_AD_TOKEN) is static and never comes here. Called by the engine through `auth.get("azure")`.
https://learn.microsoft.com/azure/ai-foundry/openai/how-to/managed-identity
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from dragoman.core.errors import AuthenticationError, ConfigurationError
from dragoman.core.http import HttpRequest
from dragoman.providers.base import Target

SCOPE = "https://cognitiveservices.azure.com/.default"
"""What a token is for: all of Azure OpenAI and of the Foundry models."""

_MARGIN = 300.0
"""Seconds before the end of a token from which on a new one is asked for."""


class AzureAuthorizer:
    """`credential`: anything with azure-identity's `get_token`; without one, the default chain when it is first needed."""

    def __init__(self, credential: Any = None) -> None:
        self._credential = credential
        self._token = ""
        self._expires = 0.0

    def ready(self, target: Target, now: float) -> bool:  # noqa: ARG002 - one token for every resource of a tenant
        return now < self._expires - _MARGIN

    def authorize(self, request: HttpRequest, target: Target, now: float) -> HttpRequest:
        if not self.ready(target, now):
            self._renew(target)
        headers = tuple(pair for pair in request.headers if pair[0] != "authorization")
        return replace(request, headers=(*headers, ("authorization", f"Bearer {self._token}")))

    def _renew(self, target: Target) -> None:
        credential = self._loaded()
        from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415 - for those who use it

        try:
            found = credential.get_token(SCOPE)
        except ClientAuthenticationError as problem:
            message = (
                f"{target.provider.name}: Microsoft Entra gave no token: {problem.message}: set AZURE_API_KEY or "
                "AZURE_AD_TOKEN, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or give the machine an identity"
            )
            raise AuthenticationError(message, llm_provider=target.provider.name, model=target.model, attempts=0) from problem
        self._token, self._expires = found.token, float(found.expires_on)

    def _loaded(self) -> Any:
        if self._credential is None:
            try:
                from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - as above
            except ImportError as problem:
                raise ConfigurationError(
                    "tokens of Microsoft Entra come with azure-identity, which is not installed: "
                    "pip install 'dragoman[azure]', or set AZURE_API_KEY"
                ) from problem
            self._credential = DefaultAzureCredential()
        return self._credential


AUTHORIZER = AzureAuthorizer()
