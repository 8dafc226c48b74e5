-- rollup: daily_app
-- text: Usage and money by day, calling application and model.
-- from: rows
-- key: source_id, day, app, response_model, model_variant
-- sum: calls, usage_input_tokens, usage_output_tokens, total_tokens, cost_nano_usd
--
-- day: UTC.
-- app: as the caller names itself; null where it does not.
-- total_tokens: input plus output of calls where both are known.
-- merge: group by the key, add each measure. A measure that no row has is null, never zero.
WITH measured AS (
  SELECT
    source_id,
    day,
    app,
    response_model,
    model_variant,
    CAST(usage_input_tokens AS DECIMAL(38, 0)) AS input,
    CAST(usage_output_tokens AS DECIMAL(38, 0)) AS output,
    CAST(cost_nano_usd AS DECIMAL(38, 0)) AS cost
  FROM rows
)
SELECT
  source_id,
  day,
  app,
  response_model,
  model_variant,
  CAST(COUNT(*) AS BIGINT) AS calls,
  SUM(input) AS usage_input_tokens,
  SUM(output) AS usage_output_tokens,
  SUM(input + output) AS total_tokens,
  SUM(cost) AS cost_nano_usd
FROM measured
GROUP BY source_id, day, app, response_model, model_variant
