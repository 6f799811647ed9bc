"""Writes docs/providers.md from the provider table and, for how each row was verified, from the index of recordings.

    python tools/providers_page.py INDEX     the page, with INDEX being the index.jsonl of a folder of recorded exchanges

Nothing on the page is written by hand. A row that no recorded exchange proves says so.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path

from dragoman.providers.base import Provider
from dragoman.providers.table import ROWS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "providers.md"

ROW_OF = {
    "alibaba": "dashscope",
    "bfl": "black_forest_labs",
    "fireworks": "fireworks_ai",
    "github_copilot": "github_copilot",
    "nvidia": "nvidia_nim",
    "together": "together_ai",
    "venice": "veniceai",
    "vercel_gateway": "vercel_ai_gateway",
    "vertex": "vertex_ai",
}
"""Folder of recordings -> row, where the names differ."""

SPOKEN = {
    "chat": "chat",
    "messages": "chat",
    "generate_content": "chat",
    "converse": "chat",
    "chat_v2": "chat",
    "api_chat": "chat",
    "api_generate": "completion",
    "predictions": "chat",
    "responses": "responses",
    "completions": "completion",
    "agents_completions": "chat",
    "fim": "completion",
    "embeddings": "embedding",
    "embed_v2": "embedding",
    "embeddings_native": "embedding",
    "images_generations": "image",
    "images_edits": "image_edit",
    "images_variations": "image_variation",
    "audio_speech": "speech",
    "audio_transcriptions": "transcription",
    "audio_translations": "translation",
    "rerank": "rerank",
    "rerank_v2": "rerank",
    "moderations": "moderation",
    "ocr": "ocr",
    "count_tokens": "token_count",
    "responses_input_tokens": "token_count",
}
"""Recorded endpoint -> the operation it proves. Endpoints that no operation speaks are not counted."""

HEAD = """# Providers

Made by `tools/providers_page.py` from the table in `providers/`; do not edit. A model is asked for as `provider/model`.

*Verified* counts real recorded exchanges with the provider that the tests replay, by operation; "not verified" means that the
row rests on the vendor's documentation alone. Other names of a provider stand in brackets.

| provider | operations | key | verified |
|---|---|---|---|
"""


TAIL = """
Some are asked in a way of their own:

- `openai/responses/MODEL` (and whoever else offers `responses`) asks for a chat over the Responses API.
- `mistral/agent:ID` asks an agent that Mistral keeps. It has its own model and sampling, so `temperature` and `top_p` are left
  out with a warning.
- `assemblyai/MODEL` chats at AssemblyAI's LLM gateway, and transcribes at its API: the sound is uploaded, and the transcript
  asked for until it is there. Its own fields (`speaker_labels`, `keyterms_prompt`) go along with a transcription. An `api_base`
  holds for both, so give `https://api.eu.assemblyai.com/v2` to the transcriptions alone.
"""


def counted(index: Path) -> dict[str, Counter[str]]:
    """Row -> operation -> recordings."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for line in index.read_text().splitlines():
        entry = json.loads(line)
        operation = SPOKEN.get(entry["kind"][0])
        if operation is not None:
            found[ROW_OF.get(entry["provider"], entry["provider"])][operation] += 1
    return found


def page(index: Path) -> str:
    seen = counted(index)
    rows = (line(row, seen.get(row.name, Counter())) + "\n" for row in sorted(ROWS, key=lambda row: row.name))
    return "".join((HEAD, *rows, TAIL))


def line(row: Provider, seen: Counter[str]) -> str:
    name = f"[{row.name}]({row.docs})" if row.docs else row.name
    aliases = f" ({', '.join(row.aliases)})" if row.aliases else ""
    operations = ", ".join(sorted(row.dialects))
    proven = ", ".join(f"{operation} {count}" for operation, count in seen.most_common() if operation in row.dialects)
    return f"| {name}{aliases} | {operations} | {key(row)} | {proven or 'not verified'} |"


def key(row: Provider) -> str:
    variables = [f"`{name}`" for name in (*row.key_variables, *row.bearer_variables)]
    if row.authorizer:
        variables.append(f"{row.authorizer} credentials")
    if not variables:
        return "none"
    return " or ".join(variables) + (" (optional)" if row.key_optional else "")


if __name__ == "__main__":
    PAGE.write_text(page(Path(sys.argv[1])))
