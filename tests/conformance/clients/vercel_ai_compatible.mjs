import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { run } from "./vercel_jobs.mjs";

await run((job) =>
  createOpenAICompatible({ name: "tidegate", baseURL: job.base, apiKey: job.key, includeUsage: true,
                           supportsStructuredOutputs: true }).chatModel(job.model));
