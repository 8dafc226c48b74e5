import { createOpenAI } from "@ai-sdk/openai";
import { run } from "./vercel_jobs.mjs";

await run((job) => createOpenAI({ baseURL: job.base, apiKey: job.key }).chat(job.model));
