import Anthropic from "@anthropic-ai/sdk";
import { main, QUESTION, TOOLS } from "./jobs.mjs";

await main(async (job) => {
  const client = new Anthropic({ baseURL: job.base, apiKey: job.key, maxRetries: 0 });
  const ask = { model: job.model, max_tokens: 4096, messages: [{ role: "user", content: QUESTION }] };
  if (job.kind === "tools")
    ask.tools = Object.entries(TOOLS).map(([name, input_schema]) => ({ name, input_schema }));
  if (job.kind === "json") ask.output_config = { format: { type: "json_schema", schema: TOOLS.add } };
  const reply = job.stream ? await client.messages.stream(ask).finalMessage() : await client.messages.create(ask);
  const of = (type) => reply.content.filter((block) => block.type === type);
  const usage = reply.usage;
  return {
    text: of("text").map((block) => block.text).join(""),
    thought: of("thinking").map((block) => block.thinking).join(""),
    calls: of("tool_use").map((block) => ({ name: block.name, arguments: block.input })),
    stop: { end_turn: "stop", tool_use: "tool_calls", max_tokens: "length" }[reply.stop_reason] ?? reply.stop_reason,
    input: usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0),
    output: usage.output_tokens,
  };
});
