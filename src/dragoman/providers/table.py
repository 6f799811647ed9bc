"""Every provider that is only a row: the makers of models, the gateways, what runs at home, and the two that run in here.

A row holds facts of the vendor's documentation and of recorded traffic; a comment says why a quirk is there. Plain rows of
companies that host other people's models are in `table_hosts`. Nothing here decides anything; `registry` reads `ROWS`.
"""

from __future__ import annotations

from msgspec.structs import replace

from dragoman.providers import edits, local
from dragoman.providers.base import NO_QUIRKS, OPENAI_SHAPED, Prefill, Provider, Quirks
from dragoman.providers.table_clouds import CLOUDS
from dragoman.providers.table_google import GOOGLE
from dragoman.providers.table_hosts import CHAT, COMPLETION, HOSTS, MAX_TOKENS, RESPONSES, REWRITTEN, hosted
from dragoman.providers.table_media import IMAGES, MEDIA, OPENAI_MEDIA, SPEECH, TRANSCRIPTIONS, TRANSLATIONS
from dragoman.providers.table_search import DECISION, MODERATION, RERANK, SEARCH, TOKEN_COUNT

# Models that think refuse to be steered while sampling, and know the token limit by its newer name only
# (https://platform.openai.com/docs/guides/reasoning).
_LIMIT = {"max_tokens": "max_completion_tokens"}
_SAMPLING = frozenset(
    {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs", "logit_bias"}
)
_THINKING = Quirks(rename=_LIMIT, drop=_SAMPLING)
_OPENAI_MODELS = {
    "gpt-image-*": Quirks(edit=edits.base64_images),
    "gpt-5-chat*": Quirks(rename=_LIMIT),
    "gpt-5.*": Quirks(rename=_LIMIT),  # take sampling parameters when told not to think
    "gpt-5*": _THINKING,
    "o[1-9]": _THINKING,
    "o[1-9]-*": _THINKING,
}

# Models that answer in the Responses API only (https://platform.openai.com/docs/models): a chat call is carried over it.
_NOT_IN_CHAT = ("o1-pro*", "o3-pro*", "gpt-5*-pro*", "*codex*", "*-deep-research*", "computer-use-preview*")

_PROMPTED = ("gpt-3.5-turbo-instruct*", "davinci-002", "babbage-002")
"""Models that cannot chat: a conversation is written out as one prompt."""
_ONLY_CHATTING = ("gpt-*", "chatgpt-*", "o[1-9]*")
"""Models that complete no texts: a prompt is sent as a user's message."""

# https://docs.mistral.ai/api: a field that is not in the schema is an error 422. Its streams report usage unasked, leave
# out the index of tool calls and write thinking as a list of parts.
_MISTRAL = Quirks(
    rename={"seed": "random_seed", **MAX_TOKENS},
    drop=frozenset({"logit_bias", "service_tier", "store", "user", "verbosity"}),
    map_values={"tool_choice": {"required": "any"}},
    edit=edits.short_tool_call_ids,
    stream_usage=False,
    relay=False,
)

# https://docs.mistral.ai/api/endpoint/chat: `prefix` of an assistant's message
_BY_PREFIX = Prefill(message={"prefix": True}, repeats=True)

# https://docs.mistral.ai/api/endpoint/deprecated/agents: how an agent samples is its own business.
_MISTRAL_AGENTS = replace(_MISTRAL, drop=_MISTRAL.drop | {"temperature", "top_p"})

# https://docs.x.ai/docs/guides/image-generations: what is not listed there is refused.
_XAI_IMAGES = Quirks(drop=frozenset({"quality", "size", "style", "background", "moderation", "output_format"}), relay=False)

# https://docs.mistral.ai/api/#tag/embeddings
_MISTRAL_EMBED = Quirks(rename={"dimensions": "output_dimension"}, drop=frozenset({"user"}), relay=False)

_FILL_IN = "/fim/completions"
"""Its text completions fill in the middle, with or without a suffix; the answers are those of a chat."""

# https://docs.x.ai/docs/guides/reasoning names the refusals. Not relayed, because xAI counts reasoning tokens beside
# completion_tokens and not within them, as every client of this dialect expects.
_XAI_THINKING = Quirks(drop=frozenset({"presence_penalty", "frequency_penalty", "stop"}), relay=False)

_MAKERS = (
    Provider(
        name="openai",
        base_url="https://api.openai.com/v1",
        key_variables=("OPENAI_API_KEY",),
        base_url_variables=("OPENAI_BASE_URL", "OPENAI_API_BASE"),
        header_variables={"OPENAI_ORGANIZATION": "openai-organization", "OPENAI_PROJECT": "openai-project"},
        model_prefixes=(
            "gpt-",
            "chatgpt-",
            "o1",
            "o3",
            "o4",
            "text-embedding-3-",
            "text-embedding-ada-",
            "dall-e-",
            "tts-1",
            "whisper-1",
            "omni-moderation-",
            "text-moderation-",
        ),
        aliases=("text-completion-openai",),
        dialects={**OPENAI_SHAPED, **RESPONSES, **COMPLETION, **OPENAI_MEDIA, **MODERATION, **TOKEN_COUNT},
        model_quirks=_OPENAI_MODELS,
        model_dialects={
            "gpt-6-luna*": {"completion": "openai_chat", **DECISION},
            **{models: {"chat": "openai_responses", "completion": "openai_responses"} for models in _NOT_IN_CHAT},
            **{models: {"chat": "openai_completions"} for models in _PROMPTED},
            **{models: {"completion": "openai_chat"} for models in _ONLY_CHATTING},
        },
        docs="https://platform.openai.com/docs/api-reference",
    ),
    Provider(
        name="anthropic",
        base_url="https://api.anthropic.com",
        key_variables=("ANTHROPIC_API_KEY",),
        bearer_variables=("ANTHROPIC_AUTH_TOKEN",),
        base_url_variables=("ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"),
        auth="x-api-key",
        dialects={"chat": "anthropic_messages", "token_count": "anthropic_count_tokens"},
        model_prefixes=("claude-",),
        docs="https://docs.anthropic.com/en/api/messages",
    ),
    hosted(
        "mistral",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        aliases=("mistralai",),
        dialects={**OPENAI_SHAPED, **SPEECH, **TRANSCRIPTIONS, **MODERATION, "ocr": "mistral_ocr"},
        paths={"completion": _FILL_IN},
        model_dialects={"codestral*": COMPLETION, "agent:*": {"chat": "mistral_agents"}},
        model_prefixes=("mistral-", "ministral-", "magistral-", "pixtral-", "devstral-", "open-mistral-", "open-mixtral-"),
        quirks=_MISTRAL,
        prefill=_BY_PREFIX,
        model_quirks={"*-embed*": _MISTRAL_EMBED, "*-ocr*": NO_QUIRKS, "agent:*": _MISTRAL_AGENTS},
        docs="https://docs.mistral.ai/api",
    ),
    hosted(
        "codestral",
        "https://codestral.mistral.ai/v1",
        "CODESTRAL_API_KEY",
        aliases=("text-completion-codestral",),
        dialects={**CHAT, **COMPLETION},
        paths={"completion": _FILL_IN},
        quirks=_MISTRAL,
        prefill=_BY_PREFIX,
        docs="https://docs.mistral.ai/api",
    ),
    hosted(
        "deepseek",
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        dialects={**CHAT, **RESPONSES},
        model_prefixes=("deepseek-",),
        quirks=Quirks(rename=MAX_TOKENS),
        # https://api-docs.deepseek.com/guides/chat_prefix_completion
        prefill=Prefill(message={"prefix": True}, base_url="https://api.deepseek.com/beta"),
        docs="https://api-docs.deepseek.com",
    ),
    hosted(
        "xai",
        "https://api.x.ai/v1",
        "XAI_API_KEY",
        aliases=("grok",),
        dialects={**CHAT, **RESPONSES, **IMAGES, "image_edit": "xai_image_edits", "transcription": "xai_transcriptions"},
        model_prefixes=("grok-",),
        quirks=REWRITTEN,
        model_quirks={
            "grok-*imag*": _XAI_IMAGES,
            "*non-reasoning*": REWRITTEN,
            "grok-4*": _XAI_THINKING,
            "grok-3-mini*": _XAI_THINKING,
        },
        docs="https://docs.x.ai/docs/api-reference",
    ),
    hosted(
        "cohere",
        "https://api.cohere.com",
        "COHERE_API_KEY",
        "CO_API_KEY",
        hosts=("api.cohere.ai",),
        aliases=("cohere_chat",),
        dialects={"chat": "cohere_chat", "embedding": "cohere_embeddings", "rerank": "cohere_rerank", **TRANSCRIPTIONS},
        paths={"transcription": "/v2/audio/transcriptions"},
        model_prefixes=("command-", "embed-english-", "embed-multilingual-", "rerank-english-", "rerank-multilingual-"),
        docs="https://docs.cohere.com/reference/chat",
    ),
    hosted(
        "replicate",
        "https://api.replicate.com/v1",
        "REPLICATE_API_KEY",
        "REPLICATE_API_TOKEN",
        dialects={"chat": "replicate_chat", "image": "replicate_images", "image_edit": "replicate_images"},
        docs="https://replicate.com/docs/reference/http",
    ),
    hosted(
        "perplexity",
        "https://api.perplexity.ai",
        "PERPLEXITYAI_API_KEY",
        "PERPLEXITY_API_KEY",
        dialects={**CHAT, "embedding": "perplexity_embeddings"},
        model_prefixes=("sonar", "pplx-embed-"),
        # Every chunk repeats the whole message and a running usage; no [DONE] comes at the end.
        quirks=REWRITTEN,
        docs="https://docs.perplexity.ai/api-reference/chat-completions-post",
    ),
    hosted(
        "ai21",
        "https://api.ai21.com/studio/v1",
        "AI21_API_KEY",
        aliases=("ai21_chat",),
        dialects=CHAT,
        model_prefixes=("jamba-",),
        quirks=Quirks(rename=MAX_TOKENS),
        docs="https://docs.ai21.com/reference/jamba-1-6-api-ref",
    ),
    hosted(
        "moonshot",
        "https://api.moonshot.ai/v1",
        "MOONSHOT_API_KEY",
        hosts=("api.moonshot.cn",),
        dialects=CHAT,
        model_prefixes=("kimi-", "moonshot-"),
        quirks=Quirks(rename=MAX_TOKENS, clamp={"temperature": (0, 1)}),
        docs="https://platform.moonshot.ai/docs/api/chat",
    ),
    hosted(
        "dashscope",
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        hosts=("dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com"),
        aliases=("alibaba", "qwencloud", "qwen_ai_platform"),
        quirks=Quirks(rename=MAX_TOKENS),
        docs="https://help.aliyun.com/zh/model-studio/compatibility-of-openai-with-dashscope",
    ),
    hosted(
        "zai",
        "https://api.z.ai/api/paas/v4",
        "ZAI_API_KEY",
        dialects=CHAT,
        model_prefixes=("glm-",),
        quirks=Quirks(rename=MAX_TOKENS),
        docs="https://docs.z.ai/api-reference/llm/chat-completion",
    ),
    hosted(
        "bigmodel",
        "https://open.bigmodel.cn/api/paas/v4",
        "BIGMODEL_API_KEY",
        "ZHIPUAI_API_KEY",
        aliases=("zhipuai",),
        quirks=Quirks(rename=MAX_TOKENS),
        docs="https://docs.bigmodel.cn/api-reference",
    ),
    hosted(
        "minimax",
        "https://api.minimax.io/v1",
        "MINIMAX_API_KEY",
        hosts=("api.minimaxi.com",),
        dialects=CHAT,
        model_prefixes=("MiniMax-",),
        docs="https://platform.minimax.io/docs/api-reference/text-openai-api",
    ),
    hosted(
        "meta_llama",
        "https://api.llama.com/compat/v1",
        "LLAMA_API_KEY",
        dialects=CHAT,
        quirks=Quirks(edit=edits.json_object_as_schema),
        docs="https://llama.developer.meta.com/docs/features/compatibility",
    ),
    hosted("meta", "https://api.meta.ai/v1", "META_MODEL_API_KEY", dialects=CHAT, docs="https://dev.meta.ai/docs/overview"),
    hosted("amazon_nova", "https://api.nova.amazon.com/v1", "AMAZON_NOVA_API_KEY", "NOVA_API_KEY", dialects=CHAT),
    hosted("reka", "https://api.reka.ai/v1", "REKA_API_KEY", dialects=CHAT, docs="https://docs.reka.ai/chat/overview"),
    hosted("inception", "https://api.inceptionlabs.ai/v1", "INCEPTION_API_KEY", dialects=CHAT),
    hosted("maritalk", "https://chat.maritaca.ai/api", "MARITALK_API_KEY", aliases=("maritaca",), dialects=CHAT),
    hosted("sarvam", "https://api.sarvam.ai/v1", "SARVAM_API_KEY", dialects=CHAT, quirks=Quirks(rename=MAX_TOKENS)),
    hosted("tencent", "https://api.hunyuan.cloud.tencent.com/v1", "HUNYUAN_API_KEY", "TENCENT_API_KEY", aliases=("hunyuan",)),
    hosted("xiaomi_mimo", "https://api.xiaomimimo.com/v1", "XIAOMI_MIMO_API_KEY", quirks=Quirks(rename=MAX_TOKENS)),
    hosted(
        "writer",
        "https://api.writer.com/v1",
        "WRITER_API_KEY",
        dialects={**CHAT, **COMPLETION},
        paths={"chat": "/chat"},
        # Chunks repeat the message beside the delta, tool arguments are null, and no [DONE] comes.
        quirks=REWRITTEN,
        docs="https://dev.writer.com/api-reference/completion-api/chat-completion",
    ),
)

_AT_HOME = (
    Provider(
        name="hosted_vllm",
        base_url=None,
        key_variables=("HOSTED_VLLM_API_KEY",),
        base_url_variables=("HOSTED_VLLM_API_BASE",),
        aliases=("vllm",),
        key_optional=True,
        dialects={**OPENAI_SHAPED, **COMPLETION, **RERANK, **TRANSCRIPTIONS, **TRANSLATIONS},
        # It is the chat template that is told so, whichever model it is of.
        prefill=Prefill(body={"continue_final_message": True, "add_generation_prompt": False}, models=("*",)),
        docs="https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
    ),
    Provider(
        name="custom_openai",
        base_url=None,
        key_variables=("CUSTOM_OPENAI_API_KEY", "OPENAI_LIKE_API_KEY"),
        base_url_variables=("CUSTOM_OPENAI_API_BASE", "OPENAI_LIKE_API_BASE"),
        aliases=("openai_like", "openai_compatible"),
        key_optional=True,
        dialects={**OPENAI_SHAPED, **COMPLETION, **RERANK, **MODERATION, **OPENAI_MEDIA},
        quirks=REWRITTEN,  # nothing is known of it
    ),
    Provider(
        name="litellm_proxy",
        base_url=None,
        key_variables=("LITELLM_PROXY_API_KEY",),
        base_url_variables=("LITELLM_PROXY_API_BASE",),
        key_optional=True,
        dialects={
            **OPENAI_SHAPED,
            **RESPONSES,
            **COMPLETION,
            "rerank": "rerank",
            **MODERATION,
            **OPENAI_MEDIA,
            "ocr": "mistral_ocr",
        },
        docs="https://docs.litellm.ai/docs/providers/litellm_proxy",
    ),
    Provider(
        name="databricks",
        base_url=None,
        key_variables=("DATABRICKS_API_KEY", "DATABRICKS_TOKEN"),
        base_url_variables=("DATABRICKS_API_BASE",),
        quirks=REWRITTEN,  # a running usage in every chunk
        docs="https://docs.databricks.com/aws/en/machine-learning/foundation-model-apis/api-reference",
    ),
    Provider(
        name="cloudflare",  # the account is part of the URL: https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1
        base_url=None,
        key_variables=("CLOUDFLARE_API_KEY", "CLOUDFLARE_API_TOKEN"),
        base_url_variables=("CLOUDFLARE_API_BASE",),
        docs="https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility",
    ),
    Provider(
        name="heroku",  # an address for every application
        base_url=None,
        key_variables=("HEROKU_API_KEY", "INFERENCE_KEY"),
        base_url_variables=("HEROKU_API_BASE", "INFERENCE_URL"),
        default_path="/v1",
        docs="https://devcenter.heroku.com/articles/heroku-inference-api-v1-chat-completions",
    ),
    Provider(
        name="ollama",  # its own API: the other one ignores options like num_ctx, and keep_alive, without a word
        base_url="http://localhost:11434",
        key_variables=("OLLAMA_API_KEY",),
        base_url_variables=("OLLAMA_API_BASE",),
        aliases=("ollama_chat",),
        key_optional=True,
        dialects={"chat": "ollama_chat", "completion": "ollama_generate", "embedding": "ollama_embeddings"},
        docs="https://docs.ollama.com/api",
    ),
    Provider(
        name="ollama_openai",
        base_url="http://localhost:11434/v1",
        key_variables=("OLLAMA_OPENAI_API_KEY",),
        base_url_variables=("OLLAMA_OPENAI_API_BASE",),
        default_path="/v1",  # its users write the address without a path
        key_optional=True,
        dialects={**OPENAI_SHAPED, **COMPLETION},
        quirks=REWRITTEN,  # tool calls end with `stop`, older servers leave out their index
        docs="https://docs.ollama.com/api/openai-compatibility",
    ),
    Provider(
        name="lm_studio",
        base_url="http://localhost:1234/v1",
        key_variables=("LM_STUDIO_API_KEY",),
        base_url_variables=("LM_STUDIO_API_BASE",),
        key_optional=True,
        dialects={**OPENAI_SHAPED, **COMPLETION},
        quirks=Quirks(edit=edits.json_object_as_schema),
        docs="https://lmstudio.ai/docs/developer/openai-compat",
    ),
    Provider(
        name="llamafile",
        base_url="http://127.0.0.1:8080/v1",
        key_variables=("LLAMAFILE_API_KEY",),
        base_url_variables=("LLAMAFILE_API_BASE",),
        aliases=("llamacpp",),
        key_optional=True,
        dialects={**OPENAI_SHAPED, **COMPLETION, **RERANK},
        docs="https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md",
    ),
    Provider(
        name="docker_model_runner",
        base_url="http://localhost:12434/engines/v1",
        key_variables=("DOCKER_MODEL_RUNNER_API_KEY",),
        base_url_variables=("DOCKER_MODEL_RUNNER_API_BASE",),
        key_optional=True,
        docs="https://docs.docker.com/ai/model-runner/api-reference",
    ),
)

_IN_HERE = (
    Provider(
        name="local",
        base_url="local://runtime/v1",
        auth="none",
        key_optional=True,
        dialects=OPENAI_SHAPED,
        quirks=local.QUIRKS,
    ),
    Provider(name="demo", base_url="demo://in-process/v1", auth="none", key_optional=True, dialects=OPENAI_SHAPED),
)

ROWS: tuple[Provider, ...] = (*_MAKERS, *GOOGLE, *HOSTS, *CLOUDS, *MEDIA, *SEARCH, *_AT_HOME, *_IN_HERE)
