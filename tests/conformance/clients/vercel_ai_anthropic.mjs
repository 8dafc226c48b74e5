import { createAnthropic } from "@ai-sdk/anthropic";
import { run } from "./vercel_jobs.mjs";

await run((job) => createAnthropic({ baseURL: job.base, apiKey: job.key })(job.model));
