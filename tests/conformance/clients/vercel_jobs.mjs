// What both clients of Vercel's `ai` share: they differ in the provider package alone.
import { generateText, jsonSchema, Output, streamText, tool } from "ai";
import { main, QUESTION, TOOLS } from "./jobs.mjs";

export async function run(modelOf) {
  await main(async (job) => {
    const ask = { model: modelOf(job), prompt: QUESTION, maxRetries: 0, maxOutputTokens: 4096 };
    if (job.kind === "tools") {
      ask.tools = Object.fromEntries(Object.entries(TOOLS).map(([name, schema]) => [name, tool({ inputSchema: jsonSchema(schema) })]));
    }
    if (job.kind === "json") ask.output = Output.object({ schema: jsonSchema(TOOLS.add) });
    let failure = null;
    const reply = job.stream ? streamText({ ...ask, onError: ({ error }) => { failure = error; } }) : await generateText(ask);
    if (job.stream) await reply.consumeStream();
    if (failure) throw failure;
    const usage = await reply.usage;
    const calls = await reply.toolCalls;
    return {
      text: await reply.text,
      thought: (await reply.reasoningText) ?? "",
      calls: calls.map((call) => ({ name: call.toolName, arguments: call.input })),
      stop: { "tool-calls": "tool_calls" }[await reply.finishReason] ?? (await reply.finishReason),
      input: usage.inputTokens, output: usage.outputTokens,
    };
  });
}
