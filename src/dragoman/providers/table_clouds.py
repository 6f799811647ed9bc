"""The rows of the two clouds whose users mostly have an identity and no key: AWS Bedrock and Azure.

Where no key is given, requests are signed or carry a token of the identity (`providers.auth`). Rows only, as in `table`, which
puts them into its own.
"""

from __future__ import annotations

from dragoman.providers.base import OPENAI_SHAPED, Prefill, Provider
from dragoman.providers.table_hosts import COMPLETION, RESPONSES, REWRITTEN
from dragoman.providers.table_media import OPENAI_MEDIA

_REGION = ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION")
_RUNTIME: dict[str, tuple[str, ...]] = {"region": _REGION}
_DEFAULT_REGION = {"region": "us-east-1"}
# https://docs.claude.com/en/docs/build-with-claude/prompt-engineering/prefill-claudes-response: not from version 4.6 on.
_PREFILLED = tuple(f"*anthropic.claude-{name}" for name in ("3*", "*-4-20*", "*-4-1-*", "*-4-5-*"))
_CLAUDE = ("anthropic.", "us.anthropic.", "eu.anthropic.", "apac.anthropic.", "global.anthropic.")

_AWS = (
    # Converse for every maker's models, Claude too: it alone has guardrails, service tiers and request metadata, and one reader
    # and writer serve them all. What only Anthropic's own API can say is said through bedrock/invoke/MODEL.
    Provider(
        name="bedrock",
        aliases=("aws", "amazon_bedrock", "bedrock_converse"),
        base_url="https://bedrock-runtime.{region}.amazonaws.com",
        url_variables=_RUNTIME,
        url_defaults=_DEFAULT_REGION,
        hosts=("bedrock-runtime.*.amazonaws.com", "bedrock-runtime-fips.*.amazonaws.com"),
        base_url_variables=("AWS_BEDROCK_RUNTIME_ENDPOINT", "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
        key_variables=("AWS_BEARER_TOKEN_BEDROCK",),
        authorizer="aws",
        dialects={
            "chat": "bedrock_converse",
            "embedding": "bedrock_embeddings",
            "image": "bedrock_images",
            "token_count": "bedrock_count_tokens",
        },
        model_dialects={"invoke/*": {"chat": "anthropic_bedrock"}},
        model_prefixes=(*_CLAUDE, "amazon.", "us.amazon.", "eu.amazon.", "arn:aws:bedrock:"),
        prefill=Prefill(models=_PREFILLED),
        docs="https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html",
    ),
    Provider(
        name="bedrock_mantle",  # OpenAI's own API; how to sign for it is not documented, so it needs a key
        base_url="https://bedrock-mantle.{region}.api.aws/v1",
        url_variables=_RUNTIME,
        url_defaults=_DEFAULT_REGION,
        hosts=("bedrock-mantle.*.api.aws",),
        base_url_variables=("BEDROCK_MANTLE_API_BASE",),
        key_variables=("AWS_BEARER_TOKEN_BEDROCK",),
        dialects={"chat": "openai_chat", **RESPONSES},
        docs="https://docs.aws.amazon.com/bedrock/latest/userguide/bedrock-mantle.html",
    ),
)

_AZURE_HOSTS = ("*.openai.azure.com", "*.cognitiveservices.azure.com", "*.services.ai.azure.com")

_OF_DEPLOYMENT = "/openai/deployments/{{model}}{}?api-version={{api_version}}"
_MEDIA_PATHS = {
    "image": "/images/generations",
    "image_edit": "/images/edits",
    "speech": "/audio/speech",
    "transcription": "/audio/transcriptions",
    "translation": "/audio/translations",
}
_MEDIA = {operation: OPENAI_MEDIA[operation] for operation in _MEDIA_PATHS}

_AZURE = (
    # A stream begins with a chunk that has neither id nor choices, on which clients of OpenAI stumble: it is not relayed.
    Provider(
        name="azure",
        aliases=("azure_openai",),
        base_url=None,
        base_url_variables=("AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL"),
        hosts=_AZURE_HOSTS,
        key_variables=("AZURE_API_KEY", "AZURE_OPENAI_API_KEY"),
        bearer_variables=("AZURE_AD_TOKEN", "AZURE_OPENAI_AD_TOKEN"),
        auth="api-key",
        authorizer="azure",
        paths={
            "chat": "/openai/deployments/{model}/chat/completions?api-version={api_version}",
            "completion": "/openai/deployments/{model}/completions?api-version={api_version}",
            "embedding": "/openai/deployments/{model}/embeddings?api-version={api_version}",
            "responses": "/openai/v1/responses",
            **{operation: _OF_DEPLOYMENT.format(path) for operation, path in _MEDIA_PATHS.items()},
        },
        url_variables={"api_version": ("AZURE_API_VERSION", "AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION")},
        url_defaults={"api_version": "2024-10-21"},
        own_paths_under="/openai/v1",
        dialects={**OPENAI_SHAPED, **RESPONSES, **COMPLETION, **_MEDIA},
        quirks=REWRITTEN,
        docs="https://learn.microsoft.com/azure/ai-foundry/openai/reference",
    ),
    Provider(
        name="azure_ai",
        aliases=("azure_foundry",),
        base_url=None,
        base_url_variables=("AZURE_AI_API_BASE", "AZURE_INFERENCE_ENDPOINT"),
        hosts=_AZURE_HOSTS,
        key_variables=("AZURE_AI_API_KEY", "AZURE_INFERENCE_CREDENTIAL"),
        auth="api-key",
        authorizer="azure",
        default_path="/openai/v1",
        paths={
            "chat": "/chat/completions?api-version={api_version}",
            "embedding": "/embeddings?api-version={api_version}",
        },
        url_variables={"api_version": ("AZURE_AI_API_VERSION",)},
        url_defaults={"api_version": "2024-05-01-preview"},  # of the model inference API, whose base URLs end in /models
        own_paths_under="/openai/v1",
        dialects={**OPENAI_SHAPED, **RESPONSES},
        quirks=REWRITTEN,
        docs="https://learn.microsoft.com/azure/ai-foundry/foundry-models/how-to/inference",
    ),
    Provider(
        name="azure_anthropic",
        base_url="https://{resource}.services.ai.azure.com/anthropic",
        url_variables={"resource": ("ANTHROPIC_FOUNDRY_RESOURCE",)},
        base_url_variables=("ANTHROPIC_FOUNDRY_BASE_URL",),
        hosts=("*.services.ai.azure.com",),
        key_variables=("ANTHROPIC_FOUNDRY_API_KEY",),
        auth="x-api-key",
        authorizer="azure",
        dialects={"chat": "anthropic_messages"},
        docs="https://learn.microsoft.com/azure/ai-foundry/foundry-models/how-to/use-foundry-models-claude",
    ),
)

CLOUDS: tuple[Provider, ...] = (*_AWS, *_AZURE)
