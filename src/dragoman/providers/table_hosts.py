"""Rows of companies that host models in OpenAI's dialect, other people's mostly, and what such rows share.

As `table`, which takes these rows up. A row here is a base URL, the variables of its key and, rarely, a quirk.
"""

from __future__ import annotations

from typing import Any

from dragoman.providers.base import OPENAI_SHAPED, Provider, Quirks
from dragoman.providers.table_media import IMAGES, SOUND, SPEECH, TRANSCRIPTIONS
from dragoman.providers.table_search import DECISION, RERANK, SYSTEM_ONE

CHAT = {"chat": "openai_chat"}
"""For vendors that offer no embeddings."""

RESPONSES = {"responses": "openai_responses"}
"""Beside chat, for vendors that were seen to speak it; elsewhere its clients are served through chat."""

COMPLETION = {"completion": "openai_completions"}
"""Text completions, for vendors that were seen or document to offer them; elsewhere they are carried over chat."""

MAX_TOKENS = {"max_completion_tokens": "max_tokens"}
"""For vendors that know the limit by its older name; some ignore the newer one without a word, and answer at any length."""

REWRITTEN = Quirks(relay=False)
"""For streams that are not clean: the row says what is wrong with them."""


def hosted(name: str, base_url: str, *key_variables: str, **rest: Any) -> Provider:
    """A row whose base URL may be changed by a variable named like the first key's: GROQ_API_KEY, GROQ_API_BASE."""
    variable = key_variables[0].removesuffix("_KEY").removesuffix("_API") + "_API_BASE"
    return Provider(name=name, base_url=base_url, key_variables=key_variables, **{"base_url_variables": (variable,), **rest})


HOSTS = (
    hosted(
        "groq",
        "https://api.groq.com/openai/v1",
        "GROQ_API_KEY",
        dialects={**CHAT, **SOUND},
        # The documentation promises an error for each of these. Streams say their usage twice, so clients that add it up
        # would count double.
        quirks=Quirks(drop=frozenset({"logprobs", "logit_bias", "top_logprobs", "n"}), relay=False),
        docs="https://console.groq.com/docs/openai",
    ),
    hosted(
        "openrouter",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        "OR_API_KEY",
        header_variables={"OR_SITE_URL": "http-referer", "OR_APP_NAME": "x-title"},
        dialects={
            **OPENAI_SHAPED,
            **RESPONSES,
            "image": "openrouter_images",
            "image_edit": "openrouter_images",
            **SPEECH,
            **TRANSCRIPTIONS,
            **RERANK,
        },
        model_dialects={"typesafe/*": SYSTEM_ONE},
        further={"chat": {"anthropic_messages": "/messages"}},
        quirks=REWRITTEN,  # two chunks with a finish_reason; comments between the events
        docs="https://openrouter.ai/docs/api-reference/overview",
    ),
    hosted(
        "together_ai",
        "https://api.together.ai/v1",
        "TOGETHER_API_KEY",
        "TOGETHER_AI_API_KEY",
        "TOGETHERAI_API_KEY",
        "TOGETHER_AI_TOKEN",
        base_url_variables=("TOGETHER_AI_API_BASE",),
        hosts=("api.together.xyz",),
        aliases=("together", "togetherai"),
        dialects={
            **OPENAI_SHAPED,
            **COMPLETION,
            "image": "together_images",
            "image_edit": "together_images",
            **SOUND,
            **RERANK,
        },
        quirks=Quirks(rename=MAX_TOKENS, relay=False),  # finish_reason "eos", the text twice in a chunk
        docs="https://docs.together.ai/docs/openai-api-compatibility",
    ),
    hosted(
        "fireworks_ai",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        "FIREWORKS_AI_API_KEY",
        "FIREWORKSAI_API_KEY",
        "FIREWORKS_AI_TOKEN",
        aliases=("fireworks",),
        dialects={**OPENAI_SHAPED, **COMPLETION, "image": "fireworks_images", **RERANK, **DECISION},
        model_path_prefix="accounts/fireworks/models/",
        quirks=Quirks(map_values={"tool_choice": {"required": "any"}}),
        docs="https://docs.fireworks.ai/api-reference/post-chatcompletions",
    ),
    hosted(
        "deepinfra",
        "https://api.deepinfra.com/v1/openai",
        "DEEPINFRA_API_KEY",
        quirks=Quirks(rename=MAX_TOKENS),
        docs="https://deepinfra.com/docs/openai_api",
    ),
    hosted(
        "cerebras",
        "https://api.cerebras.ai/v1",
        "CEREBRAS_API_KEY",
        dialects=CHAT,
        # The documentation promises an error for each of these.
        quirks=Quirks(drop=frozenset({"frequency_penalty", "logit_bias", "presence_penalty", "service_tier"})),
        docs="https://inference-docs.cerebras.ai/resources/openai",
    ),
    hosted(
        "nvidia_nim",
        "https://integrate.api.nvidia.com/v1",
        "NVIDIA_NIM_API_KEY",
        "NVIDIA_API_KEY",
        aliases=("nvidia",),
        quirks=Quirks(rename=MAX_TOKENS, relay=False),  # a running usage in every chunk
        docs="https://docs.api.nvidia.com/nim/reference/llm-apis",
    ),
    hosted("sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY", docs="https://docs.sambanova.ai"),
    hosted(
        "github",
        "https://models.github.ai/inference",
        "GITHUB_API_KEY",
        "GITHUB_TOKEN",
        hosts=("models.inference.ai.azure.com",),
        docs="https://docs.github.com/en/rest/models/inference",
    ),
    hosted(
        "huggingface",
        "https://router.huggingface.co/v1",
        "HF_TOKEN",
        "HUGGINGFACE_API_KEY",
        base_url_variables=("HF_API_BASE", "HUGGINGFACE_API_BASE"),
        hosts=("*.*.*.endpoints.huggingface.cloud",),  # dedicated endpoints: name, region, cloud
        default_path="/v1",
        quirks=REWRITTEN,  # whatever its partners send: "eos_token" as a finish_reason, no [DONE]
        docs="https://huggingface.co/docs/inference-providers/tasks/chat-completion",
    ),
    hosted(
        "hf_inference",  # single models, one task each: what the row above cannot ask for
        "https://router.huggingface.co/hf-inference",
        "HF_TOKEN",
        "HUGGINGFACE_API_KEY",
        base_url_variables=("HF_INFERENCE_API_BASE",),
        dialects={
            "completion": "huggingface_completions",
            "embedding": "huggingface_embeddings",
            "rerank": "huggingface_rerank",
        },
        docs="https://huggingface.co/docs/inference-providers/providers/hf-inference",
    ),
    hosted(
        "volcengine",
        "https://ark.cn-beijing.volces.com/api/v3",
        "VOLCENGINE_API_KEY",
        "ARK_API_KEY",
        docs="https://www.volcengine.com/docs/82379/1494384",
    ),
    hosted(
        "nebius",
        "https://api.studio.nebius.ai/v1",
        "NEBIUS_API_KEY",
        dialects={**OPENAI_SHAPED, **IMAGES},
        hosts=("api.tokenfactory.nebius.com", "api.studio.nebius.com"),
        docs="https://docs.nebius.com/studio/inference/api",
    ),
    hosted(
        "hyperbolic",
        "https://api.hyperbolic.xyz/v1",
        "HYPERBOLIC_API_KEY",
        dialects={**CHAT, "image": "hyperbolic_images"},
        quirks=Quirks(rename=MAX_TOKENS, relay=False),  # usage more than once in a stream
    ),
    hosted(
        "doubleword",
        "https://api.doubleword.ai/v1",
        "DOUBLEWORD_API_KEY",
        quirks=REWRITTEN,  # two chunks with a finish_reason
    ),
    hosted(
        "avian",
        "https://api.avian.io/v1",
        "AVIAN_API_KEY",
        dialects=CHAT,
        quirks=REWRITTEN,  # two chunks with a finish_reason
    ),
    hosted(
        "vercel_ai_gateway",
        "https://ai-gateway.vercel.sh/v1",
        "VERCEL_AI_GATEWAY_API_KEY",
        "AI_GATEWAY_API_KEY",
        "VERCEL_OIDC_TOKEN",
        aliases=("vercel",),
        # The cost that each answer tells of is that of completion and reasoning tokens added up.
        quirks=Quirks(reasoning_apart=True, relay=False),
        docs="https://vercel.com/docs/ai-gateway/openai-compat",
    ),
    hosted("novita", "https://api.novita.ai/v3/openai", "NOVITA_API_KEY", docs="https://novita.ai/docs/api-reference"),
    hosted(
        "featherless_ai",
        "https://api.featherless.ai/v1",
        "FEATHERLESS_AI_API_KEY",
        "FEATHERLESS_API_KEY",
        dialects={**CHAT, **COMPLETION},
    ),
    hosted("friendliai", "https://api.friendli.ai/serverless/v1", "FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN", dialects=CHAT),
    hosted("nscale", "https://inference.api.nscale.com/v1", "NSCALE_API_KEY"),
    hosted("lambda_ai", "https://api.lambda.ai/v1", "LAMBDA_API_KEY", dialects=CHAT),
    hosted("v0", "https://api.v0.dev/v1", "V0_API_KEY", dialects=CHAT, docs="https://v0.dev/docs/api/model"),
    hosted("wandb", "https://api.inference.wandb.ai/v1", "WANDB_API_KEY", dialects=CHAT),
    hosted("gradient_ai", "https://inference.do-ai.run/v1", "GRADIENT_AI_API_KEY", dialects=CHAT),
    hosted("baseten", "https://inference.baseten.co/v1", "BASETEN_API_KEY", dialects=CHAT),
    hosted("clarifai", "https://api.clarifai.com/v2/ext/openai/v1", "CLARIFAI_API_KEY", "CLARIFAI_PAT"),
    hosted("ovhcloud", "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", "OVHCLOUD_API_KEY"),
    hosted("cometapi", "https://api.cometapi.com/v1", "COMETAPI_KEY", "COMETAPI_API_KEY"),
    hosted("aiml", "https://api.aimlapi.com/v1", "AIML_API_KEY", docs="https://docs.aimlapi.com"),
    hosted("morph", "https://api.morphllm.com/v1", "MORPH_API_KEY", dialects=CHAT),
    hosted(
        "compactifai", "https://api.compactif.ai/v1", "COMPACTIFAI_API_KEY", dialects=CHAT, docs="https://docs.compactif.ai"
    ),
    hosted("bytez", "https://api.bytez.com/models/v2/openai/v1", "BYTEZ_API_KEY", dialects=CHAT),
    hosted("modelscope", "https://api-inference.modelscope.cn/v1", "MODELSCOPE_API_KEY"),
    hosted("publicai", "https://api.publicai.co/v1", "PUBLICAI_API_KEY", dialects=CHAT, quirks=Quirks(rename=MAX_TOKENS)),
    hosted("helicone", "https://ai-gateway.helicone.ai", "HELICONE_API_KEY", docs="https://docs.helicone.ai/gateway/overview"),
    hosted(
        "veniceai",
        "https://api.venice.ai/api/v1",
        "VENICE_AI_API_KEY",
        "VENICE_API_KEY",
        aliases=("venice",),
        dialects={**OPENAI_SHAPED, **SPEECH},
        docs="https://docs.venice.ai/api-reference",
    ),
    hosted(
        "scaleway",
        "https://api.scaleway.ai/v1",
        "SCW_SECRET_KEY",
        base_url_variables=("SCALEWAY_API_BASE",),
        docs="https://www.scaleway.com/en/developers/api/generative-apis",
    ),
    hosted("synthetic", "https://api.synthetic.new/openai/v1", "SYNTHETIC_API_KEY", quirks=Quirks(rename=MAX_TOKENS)),
    hosted("apertis", "https://api.stima.tech/v1", "STIMA_API_KEY", quirks=Quirks(rename=MAX_TOKENS)),
    hosted("nano-gpt", "https://nano-gpt.com/api/v1", "NANOGPT_API_KEY", quirks=Quirks(rename=MAX_TOKENS)),
    hosted("poe", "https://api.poe.com/v1", "POE_API_KEY", dialects=CHAT, quirks=Quirks(rename=MAX_TOKENS)),
    hosted("chutes", "https://llm.chutes.ai/v1", "CHUTES_API_KEY", quirks=Quirks(rename=MAX_TOKENS)),
    hosted("llamagate", "https://api.llamagate.dev/v1", "LLAMAGATE_API_KEY", quirks=Quirks(rename=MAX_TOKENS)),
    hosted("gmi", "https://api.gmi-serving.com/v1", "GMI_API_KEY"),
    hosted("abliteration", "https://api.abliteration.ai/v1", "ABLITERATION_API_KEY"),
    hosted(
        "assemblyai",
        "https://llm-gateway.assemblyai.com/v1",
        "ASSEMBLYAI_API_KEY",
        hosts=("api.assemblyai.com", "api.eu.assemblyai.com", "llm-gateway.eu.assemblyai.com"),
        auth="plain",
        dialects={**CHAT, "transcription": "assemblyai_transcriptions"},
        elsewhere={"transcription": "https://api.assemblyai.com/v2"},
        docs="https://www.assemblyai.com/docs/api-reference/overview",
    ),
    hosted("aihubmix", "https://aihubmix.com/v1", "AIHUBMIX_API_KEY", docs="https://docs.aihubmix.com"),
    hosted("salad_cloud", "https://ai.salad.cloud/v1", "SALAD_CLOUD_API_KEY"),
    hosted(
        "crusoe",
        "https://api.inference.crusoecloud.com/v1",
        "CRUSOE_API_KEY",
        hosts=("managed-inference-api-proxy.crusoecloud.com",),
        quirks=Quirks(rename=MAX_TOKENS),
    ),
    hosted("parasail", "https://api.parasail.io/v1", "PARASAIL_API_KEY", docs="https://docs.parasail.io"),
    hosted("cortecs", "https://api.cortecs.ai/v1", "CORTECS_API_KEY", docs="https://docs.cortecs.ai"),
    hosted(
        "streamlake",
        "https://vanchin.streamlake.ai/api/gateway/v1/endpoints",
        "STREAMLAKE_API_KEY",
        dialects=CHAT,
        docs="https://streamlake.ai/document/DOC/mg6k6nlp8j6qxicx4c9",
    ),
)
