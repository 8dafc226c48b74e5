-- rollup: weekly_account
-- text: Usage and money by week, account and model: for outliers, multihoming and k-anonymity.
-- from: rows
-- key: source_id, week, tenant_id, response_model, model_variant, is_byok, finish_class
-- sum: calls, usage_input_tokens, usage_output_tokens, total_tokens, cost_nano_usd
--
-- week: its Monday, UTC.
-- tenant_id: null where the source does not say who called.
-- finish_class: as in daily_usage. Model and class are in the key because multihoming counts the models of an account,
-- and because an outlier can only be taken out of a share by model or of tool calls where its part of them is known.
-- total_tokens: input plus output of calls where both are known.
-- merge: group by the key, add each measure. A measure that no row has is null, never zero.
WITH measured AS (
  SELECT
    source_id,
    CAST(DATE_TRUNC('week', day) AS DATE) AS week,
    tenant_id,
    response_model,
    model_variant,
    is_byok,
    CASE
      WHEN finish_reason IN ('tool_calls', 'stop', 'length', 'content_filter', 'error') THEN finish_reason
      WHEN error_type IS NOT NULL OR status_code >= 400 THEN 'error'
      WHEN finish_reason IS NULL THEN NULL
      ELSE 'other'
    END AS finish_class,
    CAST(usage_input_tokens AS DECIMAL(38, 0)) AS input,
    CAST(usage_output_tokens AS DECIMAL(38, 0)) AS output,
    CAST(cost_nano_usd AS DECIMAL(38, 0)) AS cost
  FROM rows
)
SELECT
  source_id,
  week,
  tenant_id,
  response_model,
  model_variant,
  is_byok,
  finish_class,
  CAST(COUNT(*) AS BIGINT) AS calls,
  SUM(input) AS usage_input_tokens,
  SUM(output) AS usage_output_tokens,
  SUM(input + output) AS total_tokens,
  SUM(cost) AS cost_nano_usd
FROM measured
GROUP BY source_id, week, tenant_id, response_model, model_variant, is_byok, finish_class
