// Reads jobs from standard input, runs each, prints what was understood as one JSON array.

export const ADD = {
  type: "object",
  properties: { a: { type: "integer" }, b: { type: "integer" } },
  required: ["a", "b"],
  additionalProperties: false,
};
export const TOOLS = { add: ADD, multiply: ADD };
export const QUESTION = "2+2?";

export async function main(run) {
  let text = "";
  for await (const piece of process.stdin) text += piece;
  const found = [];
  for (const job of JSON.parse(text)) {
    try {
      found.push(await run(job));
    } catch (error) {
      found.push({ error: error.constructor.name, status: error.status ?? error.statusCode ?? null, told: String(error.message) });
    }
  }
  console.log(JSON.stringify(found));
}
