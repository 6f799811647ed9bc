"""The rows of Google: AI Studio, which takes a key, and Vertex AI, whose users mostly have an identity and no key.

Where no key is given for Vertex, requests carry a token of the identity (`providers.auth.google`). Rows only, as in `table`,
which puts them into its own.
"""

from __future__ import annotations

from dragoman.providers.base import Provider

_HOST = "https://{location}-aiplatform.googleapis.com"

GOOGLE = (
    Provider(
        name="gemini",
        aliases=("google", "google_ai_studio"),
        base_url="https://generativelanguage.googleapis.com/v1beta",
        key_variables=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        base_url_variables=("GEMINI_API_BASE", "GOOGLE_GEMINI_BASE_URL"),
        default_path="/v1beta",
        auth="x-goog-api-key",
        dialects={
            "chat": "gemini",
            "embedding": "gemini_embeddings",
            "image": "gemini_images",
            "image_edit": "gemini_images",
            "speech": "gemini_speech",
            "token_count": "gemini_count_tokens",
        },
        model_dialects={"imagen-*": {"image": "gemini_imagen"}},
        model_prefixes=("gemini-", "gemma-", "imagen-"),
        docs="https://ai.google.dev/api/generate-content",
    ),
    # Claude is served there under Anthropic's own API but for the envelope.
    Provider(
        name="vertex_ai",
        aliases=("vertex", "vertexai", "google_vertex"),
        base_url=_HOST + "/v1/projects/{project}/locations/{location}",
        url_variables={
            "project": ("VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT"),
            "location": ("VERTEXAI_LOCATION", "GOOGLE_CLOUD_LOCATION"),
        },
        url_defaults={"location": "global"},
        # https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations: what is no region has a host of its own kind
        url_exceptions={
            "https://global-aiplatform.": "https://aiplatform.",
            "https://us-aiplatform.": "https://aiplatform.us.rep.",
            "https://eu-aiplatform.": "https://aiplatform.eu.rep.",
        },
        hosts=(
            "aiplatform.googleapis.com",
            "*-aiplatform.googleapis.com",
            "aiplatform.us.rep.googleapis.com",
            "aiplatform.eu.rep.googleapis.com",
        ),
        base_url_variables=("VERTEXAI_API_BASE",),
        key_variables=("VERTEXAI_API_KEY",),
        bearer_variables=("VERTEXAI_ACCESS_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN"),
        auth="x-goog-api-key",
        authorizer="google",
        dialects={
            "chat": "gemini_vertex",
            "embedding": "vertex_embeddings",
            "image": "vertex_images",
            "image_edit": "vertex_images",
            "speech": "vertex_speech",
            "token_count": "vertex_count_tokens",
            "ocr": "vertex_ocr",
        },
        model_dialects={
            "claude-*": {"chat": "anthropic_vertex", "token_count": "anthropic_vertex_count_tokens"},
            "imagen-*": {"image": "vertex_imagen"},
        },
        docs="https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest",
    ),
)
