"""The rows of those who embed, rank, judge and decide and do not chat, and what others offer of that beside chat.

Rows only, as in `table`, which puts them into its own.
"""

from __future__ import annotations

from dragoman.providers.base import Provider, Quirks

EMBEDDING = {"embedding": "openai_embeddings"}
RERANK = {"rerank": "jina_rerank"}
"""For the many who copied Jina."""
MODERATION = {"moderation": "openai_moderations"}
DECISION = {"decision": "openai_decisions"}
SYSTEM_ONE = {"decision": "systemone"}
TOKEN_COUNT = {"token_count": "openai_count_tokens"}

SEARCH: tuple[Provider, ...] = (
    Provider(
        name="voyage",
        base_url="https://api.voyageai.com/v1",
        key_variables=("VOYAGE_API_KEY", "VOYAGE_AI_API_KEY", "VOYAGE_AI_TOKEN"),
        base_url_variables=("VOYAGE_API_BASE",),
        aliases=("voyageai",),
        dialects={**EMBEDDING, "rerank": "voyage_rerank"},
        model_prefixes=("voyage-",),
        quirks=Quirks(
            rename={"dimensions": "output_dimension"},
            drop=frozenset({"user"}),
            map_values={"encoding_format": {"float": None}},  # base64 is the only other form that has a name
            relay=False,  # usage is a total and nothing else
        ),
        docs="https://docs.voyageai.com/reference/embeddings-api",
    ),
    Provider(
        name="jina_ai",
        base_url="https://api.jina.ai/v1",
        key_variables=("JINA_AI_API_KEY", "JINA_API_KEY", "JINA_AI_TOKEN"),
        base_url_variables=("JINA_AI_API_BASE",),
        aliases=("jina",),
        dialects={**EMBEDDING, **RERANK},
        model_prefixes=("jina-",),
        quirks=Quirks(rename={"encoding_format": "embedding_type"}, drop=frozenset({"user"})),
        docs="https://api.jina.ai/redoc",
    ),
    Provider(
        name="typesafe",
        base_url="https://api.typesafe.ai/v1",
        key_variables=("TYPESAFE_API_KEY",),
        base_url_variables=("TYPESAFE_API_BASE", "TYPESAFE_BASE_URL"),
        default_path="/v1",  # its users write the address without a path
        dialects=SYSTEM_ONE,
        model_prefixes=("jev-",),
        docs="https://docs.typesafe.ai",
    ),
    Provider(
        name="infinity",
        base_url=None,
        key_variables=("INFINITY_API_KEY",),
        base_url_variables=("INFINITY_API_BASE",),
        key_optional=True,
        dialects={**EMBEDDING, **RERANK},
        docs="https://michaelfeil.eu/infinity",
    ),
    Provider(
        name="text_embeddings_inference",
        base_url=None,
        key_variables=("TEI_API_KEY",),
        base_url_variables=("TEI_API_BASE",),
        aliases=("tei",),
        key_optional=True,
        dialects={**EMBEDDING, "rerank": "tei_rerank"},
        paths={"embedding": "/v1/embeddings"},
        docs="https://huggingface.github.io/text-embeddings-inference",
    ),
    # NVIDIA's containers at home; its cloud ranks at a host of its own for every model.
    Provider(
        name="nim",
        base_url=None,
        key_variables=("NIM_API_KEY",),
        base_url_variables=("NIM_API_BASE",),
        default_path="/v1",
        key_optional=True,
        dialects={"chat": "openai_chat", **EMBEDDING, "rerank": "nvidia_rerank"},
        docs="https://docs.nvidia.com/nim",
    ),
)
