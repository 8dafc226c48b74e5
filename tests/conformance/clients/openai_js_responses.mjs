import OpenAI from "openai";
import { main, QUESTION, TOOLS } from "./jobs.mjs";

await main(async (job) => {
  const client = new OpenAI({ baseURL: job.base, apiKey: job.key, maxRetries: 0 });
  const ask = { model: job.model, input: QUESTION };
  if (job.kind === "tools")
    ask.tools = Object.entries(TOOLS).map(([name, parameters]) => ({ type: "function", name, parameters, strict: true }));
  if (job.kind === "json") ask.text = { format: { type: "json_schema", name: "sum", strict: true, schema: TOOLS.add } };
  const reply = job.stream ? await client.responses.stream(ask).finalResponse() : await client.responses.create(ask);
  const calls = reply.output.filter((item) => item.type === "function_call");
  const thoughts = reply.output.filter((item) => item.type === "reasoning");
  return {
    text: reply.output_text,
    thought: thoughts.flatMap((item) => item.summary).map((part) => part.text).join(""),
    calls: calls.map((call) => ({ name: call.name, arguments: JSON.parse(call.arguments) })),
    stop: calls.length ? "tool_calls" : reply.status === "completed" ? "stop" : reply.incomplete_details.reason,
    input: reply.usage.input_tokens, output: reply.usage.output_tokens,
  };
});
