-- rollup: daily_key
-- text: Usage and money by day, account, key and endpoint: what `/key`, `/activity` and `/credits` answer from.
-- from: rows
-- key: source_id, day, tenant_id, project_id, key_id, response_model, provider_name, endpoint_id, is_byok
-- sum: calls, usage_input_tokens, usage_output_tokens, usage_cache_read_input_tokens, usage_reasoning_output_tokens,
-- sum: total_tokens, cost_nano_usd, upstream_cost_nano_usd
--
-- day: UTC.
-- tenant_id, project_id, key_id: null where the source does not say who called.
-- endpoint_id: what served; null for a call that was refused.
-- total_tokens: input plus output of calls where both are known.
-- merge: group by the key, add each measure. A measure that no row has is null, never zero.
WITH measured AS (
  SELECT
    source_id,
    day,
    tenant_id,
    project_id,
    key_id,
    response_model,
    provider_name,
    endpoint_id,
    is_byok,
    CAST(usage_input_tokens AS DECIMAL(38, 0)) AS input,
    CAST(usage_output_tokens AS DECIMAL(38, 0)) AS output,
    CAST(usage_cache_read_input_tokens AS DECIMAL(38, 0)) AS cache_read,
    CAST(usage_reasoning_output_tokens AS DECIMAL(38, 0)) AS reasoning,
    CAST(cost_nano_usd AS DECIMAL(38, 0)) AS cost,
    CAST(upstream_cost_nano_usd AS DECIMAL(38, 0)) AS upstream_cost
  FROM rows
)
SELECT
  source_id,
  day,
  tenant_id,
  project_id,
  key_id,
  response_model,
  provider_name,
  endpoint_id,
  is_byok,
  CAST(COUNT(*) AS BIGINT) AS calls,
  SUM(input) AS usage_input_tokens,
  SUM(output) AS usage_output_tokens,
  SUM(cache_read) AS usage_cache_read_input_tokens,
  SUM(reasoning) AS usage_reasoning_output_tokens,
  SUM(input + output) AS total_tokens,
  SUM(cost) AS cost_nano_usd,
  SUM(upstream_cost) AS upstream_cost_nano_usd
FROM measured
GROUP BY source_id, day, tenant_id, project_id, key_id, response_model, provider_name, endpoint_id, is_byok
