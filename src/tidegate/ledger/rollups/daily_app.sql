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
SELECT
  source_id,
  day,
  app,
  response_model,
  model_variant,
  CAST(COUNT(*) AS BIGINT) AS calls,
  SUM(CAST(usage_input_tokens AS DECIMAL(38, 0))) AS usage_input_tokens,
  SUM(CAST(usage_output_tokens AS DECIMAL(38, 0))) AS usage_output_tokens,
  SUM(
    CAST(usage_input_tokens AS DECIMAL(38, 0)) + CAST(usage_output_tokens AS DECIMAL(38, 0))
  ) AS total_tokens,
  SUM(CAST(cost_nano_usd AS DECIMAL(38, 0))) AS cost_nano_usd
FROM rows
GROUP BY source_id, day, app, response_model, model_variant
