import OpenAI from "openai";
import { main, QUESTION, TOOLS } from "./jobs.mjs";

await main(async (job) => {
  const client = new OpenAI({ baseURL: job.base, apiKey: job.key, maxRetries: 0 });
  const ask = { model: job.model, messages: [{ role: "user", content: QUESTION }] };
  if (job.kind === "tools")
    ask.tools = Object.entries(TOOLS).map(([name, parameters]) => ({ type: "function", function: { name, parameters } }));
  if (job.kind === "json")
    ask.response_format = { type: "json_schema", json_schema: { name: "sum", strict: true, schema: TOOLS.add } };
  let reply, thought = "";
  if (job.stream) {
    const stream = client.chat.completions.stream({ ...ask, stream_options: { include_usage: true } });
    stream.on("chunk", (chunk) => { thought += chunk.choices[0]?.delta.reasoning_content ?? ""; });
    reply = await stream.finalChatCompletion();
  } else {
    reply = await client.chat.completions.create(ask);
    thought = reply.choices[0].message.reasoning_content ?? "";
  }
  const { message, finish_reason } = reply.choices[0];
  const calls = (message.tool_calls ?? []).map((call) => ({ name: call.function.name, arguments: JSON.parse(call.function.arguments) }));
  return { text: message.content ?? "", thought, calls, stop: finish_reason,
           input: reply.usage.prompt_tokens, output: reply.usage.completion_tokens };
});
