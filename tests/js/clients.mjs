// What the gateway owes JavaScript programs: LangChain.js and the `openai` client from npm, unchanged, at its address.
//
//     node clients.mjs http://127.0.0.1:4000 API_KEY [MODEL]
//
// Prints a line for each check and leaves with status 1 if one failed. The model names are those of the demo upstream; with
// MODEL that one is asked instead, a real model, whose words nobody can tell beforehand.

import assert from "node:assert/strict";
import { ChatAnthropic } from "@langchain/anthropic";
import { HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAIEmbeddings } from "@langchain/openai";
import OpenAI from "openai";
import { z } from "zod";

const [base, apiKey, realModel] = process.argv.slice(2);
const TEXT = "hello there, gateway";
const City = z.object({ city: z.string(), inhabitants: z.number() });
const weather = tool(({ city }) => `18 degrees in ${city}`, {
  name: "get_weather",
  description: "Weather of a city.",
  schema: z.object({ city: z.string() }),
});

const openai = (model) => new ChatOpenAI({ model, apiKey, maxRetries: 0, configuration: { baseURL: `${base}/v1` } });
const anthropic = (model) => new ChatAnthropic({ model, apiKey, maxRetries: 0, anthropicApiUrl: base });

async function whole(stream) {
  let sum;
  let chunks = 0;
  for await (const chunk of stream) {
    sum = sum === undefined ? chunk : sum.concat(chunk);
    chunks += 1;
  }
  return { sum, chunks };
}

async function invoke(chat) {
  const message = await chat.invoke([new SystemMessage("Repeat."), new HumanMessage(TEXT)]);
  assert.equal(message.text, TEXT);
  assert.ok(message.usage_metadata.total_tokens > 0);
}

async function stream(chat) {
  const { sum, chunks } = await whole(await chat.stream(TEXT));
  assert.equal(sum.text, TEXT);
  assert.ok(chunks > 3, `${chunks} chunks`);
  assert.ok(sum.usage_metadata.output_tokens > 0);
}

async function tools(chat) {
  const bound = chat.bindTools([weather]);
  const asked = new HumanMessage("What is the weather?");
  const message = await bound.invoke([asked]);
  assert.equal(message.tool_calls[0].name, "get_weather");
  const result = await weather.invoke(message.tool_calls[0]);
  assert.ok(result instanceof ToolMessage);
  const answer = await bound.invoke([asked, message, result]);
  assert.match(answer.text, /18 degrees/);
}

async function streamedTool(chat) {
  const bound = chat.bindTools([weather], { tool_choice: "get_weather" });
  const { sum } = await whole(await bound.stream("What is the weather?"));
  assert.deepEqual(Object.keys(sum.tool_calls[0].args), ["city"]);
}

async function structured(chat, method) {
  const found = await chat.withStructuredOutput(City, { name: "city", method }).invoke("Name a city and how many live there.");
  assert.deepEqual(Object.keys(found).sort(), ["city", "inhabitants"]);
}

async function embeddings() {
  const made = new OpenAIEmbeddings({ model: "embed", apiKey, configuration: { baseURL: `${base}/v1` } });
  const vectors = await made.embedDocuments(["a harbour", "another"]);
  assert.deepEqual(vectors.map((vector) => vector.length), [256, 256]);
  assert.equal((await made.embedQuery("a harbour")).length, 256);
}

async function plainClient() {
  const client = new OpenAI({ apiKey, baseURL: `${base}/v1`, maxRetries: 0 });
  const { data, response } = await client.chat.completions
    .create({ model: "echo", messages: [{ role: "user", content: TEXT }] })
    .withResponse();
  assert.equal(data.choices[0].message.content, TEXT);
  const told = JSON.parse(response.headers.get("x-langsmith-gateway-metadata"));
  assert.deepEqual(told, { provider: "openai", model: "echo" });
  let text = "";
  for await (const chunk of await client.chat.completions.create({
    model: "claude-echo",
    messages: [{ role: "user", content: TEXT }],
    stream: true,
  })) {
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  assert.equal(text, TEXT);
  const names = (await client.models.list()).data.map((model) => model.id);
  assert.ok(names.includes("echo"));
}

async function errors() {
  const client = new OpenAI({ apiKey, baseURL: `${base}/v1`, maxRetries: 0 });
  const asked = client.chat.completions.create({ model: "no-such-model", messages: [{ role: "user", content: "x" }] });
  await assert.rejects(asked, OpenAI.NotFoundError);
}

async function speaks(chat) {
  const asked = "What is the capital of France?";
  assert.ok((await chat.invoke(asked)).text);
  const { sum, chunks } = await whole(await chat.stream(asked));
  assert.ok(sum.text && chunks > 1);
}

const ofDemoUpstream = {
  "ChatOpenAI invokes": () => invoke(openai("echo")),
  "ChatOpenAI invokes an Anthropic model": () => invoke(openai("claude-echo")),
  "ChatOpenAI streams": () => stream(openai("echo")),
  "ChatOpenAI streams an Anthropic model": () => stream(openai("claude-echo")),
  "ChatOpenAI calls tools": () => tools(openai("tools")),
  "ChatOpenAI calls tools of an Anthropic model": () => tools(openai("claude-tools")),
  "ChatOpenAI streams a tool call": () => streamedTool(openai("tools")),
  "ChatOpenAI answers in a shape": () => structured(openai("json"), "jsonSchema"),
  "ChatOpenAI answers in a shape by a tool": () => structured(openai("tools"), "functionCalling"),
  "OpenAIEmbeddings embeds": embeddings,
  "ChatAnthropic invokes": () => invoke(anthropic("claude-echo")),
  "ChatAnthropic invokes an OpenAI model": () => invoke(anthropic("echo")),
  "ChatAnthropic streams": () => stream(anthropic("claude-echo")),
  "ChatAnthropic calls tools": () => tools(anthropic("claude-tools")),
  "ChatAnthropic streams a tool call": () => streamedTool(anthropic("claude-tools")),
  "ChatAnthropic answers in a shape": () => structured(anthropic("claude-tools"), "functionCalling"),
  "openai: whole, streamed, models, who answered": plainClient,
  "openai: a typed error": errors,
};
const ofRealModel = {
  "ChatOpenAI speaks with a real model": () => speaks(openai(realModel)),
  "ChatAnthropic speaks with a real model": () => speaks(anthropic(realModel)),
  "ChatOpenAI gets an answer in a shape of a real model": () => structured(openai(realModel), "jsonSchema"),
};

for (const [name, check] of Object.entries(realModel ? ofRealModel : ofDemoUpstream)) {
  try {
    await check();
    console.log(`ok      ${name}`);
  } catch (problem) {
    process.exitCode = 1;
    console.log(`FAILED  ${name}: ${problem.stack}`);
  }
}
