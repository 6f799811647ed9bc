"""`make demo`: the main job, done by a real model on this machine: no key, no account, nothing left running.

It fetches the local model, starts the gateway, and asks it through the real `openai` client, through LangChain's own
ChatOpenAI, and asks the model through the SDK.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
from langchain_openai import ChatOpenAI

import dragoman

PROGRAM = Path(sys.executable).with_name("dragoman")
MODEL = "local/smollm2-135m"
EMBEDDER = "local/use-multilingual-v3"
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
REVIEW = "Classify the text into neutral, negative or positive. Text: I think the food was okay. Sentiment:"
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "country": {"type": "string"}},
    "required": ["city", "country"],
    "additionalProperties": False,
}


def title(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


@contextmanager
def gateway() -> Iterator[str]:
    """`dragoman serve` on a free port; its base URL. Stopped at the end, whatever happens."""
    with subprocess.Popen([PROGRAM, "serve", "--port", "0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            if process.stdout is None or "http" not in (line := process.stdout.readline()):
                sys.exit("the gateway did not start")
            print(line.strip())
            yield line[line.index("http") :].split()[0]
        finally:
            process.terminate()


def main() -> None:
    title("The local model")
    subprocess.run([PROGRAM, "local", "pull"], check=True)
    title("The gateway: dragoman serve")
    with gateway() as url:
        client = openai.OpenAI(base_url=url, api_key="not needed here")
        title("A chat completion, by the openai client")
        began = time.monotonic()
        raw = client.chat.completions.with_raw_response.create(model=MODEL, messages=QUESTION)
        took = time.monotonic() - began
        answer = raw.parse()
        print(f"  {QUESTION[0]['content']}\n  {answer.choices[0].message.content}")

        title("A stream, token by token")
        print("  ", end="")
        for chunk in client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": REVIEW}], stream=True):
            if chunk.choices:
                print(chunk.choices[0].delta.content or "", end="", flush=True)
        print()

        title("An answer that must fit a JSON schema")
        schema = {"type": "json_schema", "json_schema": {"name": "city", "schema": CITY, "strict": True}}
        shaped = client.chat.completions.create(model=MODEL, messages=QUESTION, response_format=schema)
        print(f"  {json.loads(shaped.choices[0].message.content or '')}")

        title("An embedding")
        vector = client.embeddings.create(model=EMBEDDER, input="harbour").data[0].embedding
        print(f"  {len(vector)} numbers: {[round(number, 3) for number in vector[:4]]} ...")

        title("The same through LangChain's ChatOpenAI")
        chat = ChatOpenAI(model=MODEL, base_url=url, api_key="not needed here")
        print(f"  {chat.invoke(QUESTION[0]['content']).content}")

        title("Who answered")
        usage = answer.usage
        print(f"  deployment  {raw.headers['x-dragoman-deployment']} (attempt {raw.headers['x-dragoman-attempts']})")
        print(f"  tokens      {usage.prompt_tokens} in, {usage.completion_tokens} out")
        print("  cost        0 $ (your own machine)")
        print(f"  time        {took * 1000:.0f} ms, of which the gateway took: {raw.headers['server-timing']}")

    title("The same without a gateway: dragoman.completion(...)")
    print(f"  {dragoman.completion(MODEL, QUESTION).choices[0].message.content}")
    print("\nThis model is a toy of 135 million parameters: it proves the pipes. Put a real one behind the same call.")


if __name__ == "__main__":
    os.environ.setdefault("LANGSMITH_TRACING", "false")
    main()
