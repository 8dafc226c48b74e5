import { GoogleGenAI } from "@google/genai";
import { main, QUESTION, TOOLS } from "./jobs.mjs";

await main(async (job) => {
  const client = new GoogleGenAI({ apiKey: job.key, httpOptions: { baseUrl: job.base } });
  const config = {};
  if (job.kind === "tools")
    config.tools = [{ functionDeclarations: Object.entries(TOOLS).map(([name, schema]) => ({ name, parametersJsonSchema: schema })) }];
  if (job.kind === "thinks") config.thinkingConfig = { includeThoughts: true };
  if (job.kind === "json") Object.assign(config, { responseMimeType: "application/json", responseJsonSchema: TOOLS.add });
  const ask = { model: job.model, contents: QUESTION, config };
  const replies = job.stream ? await client.models.generateContentStream(ask) : [await client.models.generateContent(ask)];
  const found = { text: "", thought: "", calls: [], stop: "", input: 0, output: 0 };
  for await (const reply of replies) {
    for (const part of reply.candidates?.[0]?.content?.parts ?? []) {
      if (part.functionCall) found.calls.push({ name: part.functionCall.name, arguments: part.functionCall.args ?? {} });
      else if (part.thought) found.thought += part.text;
      else found.text += part.text ?? "";
    }
    const reason = reply.candidates?.[0]?.finishReason;
    if (reason) found.stop = reason === "STOP" ? (found.calls.length ? "tool_calls" : "stop") : reason;
    if (reply.usageMetadata) {
      const usage = reply.usageMetadata;
      found.input = usage.promptTokenCount;
      found.output = (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0);
    }
  }
  return found;
});
