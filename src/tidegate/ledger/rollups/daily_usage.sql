-- rollup: daily_usage
-- text: Usage, money and time by day, model, provider and outcome.
-- from: rows
-- key: source_id, day, response_model, model_variant, provider_name, is_byok, finish_class, is_cancelled
-- sum: calls, unmetered_calls, usage_input_tokens, usage_output_tokens, usage_cache_read_input_tokens,
-- sum: usage_cache_creation_input_tokens, usage_reasoning_output_tokens, total_tokens, images, tool_calls,
-- sum: cost_nano_usd, upstream_cost_nano_usd, list_cost_nano_usd, duration_us
--
-- day: UTC.
-- finish_class: tool_calls, stop, length, content_filter, error or other; null where the source does not say.
-- unmetered_calls: calls whose input or output is unknown; they add nothing to the token measures.
-- total_tokens: input plus output; a measure of its own because some public series publish only the total.
-- list_cost_nano_usd: usage at the list rates of the row's price, without cache or reasoning rates; null if unknown.
-- rows: the ledger's rows with two derived columns that the engine at hand prepares: day (the UTC date of ts) and
-- list_cost_nano_usd.
-- merge: group by the key, add each measure. A measure that no row has is null, never zero.
WITH measured AS (
  SELECT
    source_id,
    day,
    response_model,
    model_variant,
    provider_name,
    is_byok,
    CASE
      WHEN finish_reason IN ('tool_calls', 'stop', 'length', 'content_filter', 'error') THEN finish_reason
      WHEN error_type IS NOT NULL OR status_code >= 400 THEN 'error'
      WHEN finish_reason IS NULL THEN NULL
      ELSE 'other'
    END AS finish_class,
    is_cancelled,
    CAST(usage_input_tokens AS DECIMAL(38, 0)) AS input,
    CAST(usage_output_tokens AS DECIMAL(38, 0)) AS output,
    CAST(usage_cache_read_input_tokens AS DECIMAL(38, 0)) AS cache_read,
    CAST(usage_cache_creation_input_tokens AS DECIMAL(38, 0)) AS cache_creation,
    CAST(usage_reasoning_output_tokens AS DECIMAL(38, 0)) AS reasoning,
    CAST(images AS DECIMAL(38, 0)) AS pictures,
    CAST(tool_calls AS DECIMAL(38, 0)) AS called,
    CAST(cost_nano_usd AS DECIMAL(38, 0)) AS cost,
    CAST(upstream_cost_nano_usd AS DECIMAL(38, 0)) AS upstream_cost,
    CAST(list_cost_nano_usd AS DECIMAL(38, 0)) AS list_cost,
    CAST(duration_us AS DECIMAL(38, 0)) AS duration
  FROM rows
)
SELECT
  source_id,
  day,
  response_model,
  model_variant,
  provider_name,
  is_byok,
  finish_class,
  is_cancelled,
  CAST(COUNT(*) AS BIGINT) AS calls,
  CAST(SUM(CASE WHEN input IS NULL OR output IS NULL THEN 1 ELSE 0 END) AS BIGINT) AS unmetered_calls,
  SUM(input) AS usage_input_tokens,
  SUM(output) AS usage_output_tokens,
  SUM(cache_read) AS usage_cache_read_input_tokens,
  SUM(cache_creation) AS usage_cache_creation_input_tokens,
  SUM(reasoning) AS usage_reasoning_output_tokens,
  SUM(input + output) AS total_tokens,
  SUM(pictures) AS images,
  SUM(called) AS tool_calls,
  SUM(cost) AS cost_nano_usd,
  SUM(upstream_cost) AS upstream_cost_nano_usd,
  SUM(list_cost) AS list_cost_nano_usd,
  SUM(duration) AS duration_us
FROM measured
GROUP BY source_id, day, response_model, model_variant, provider_name, is_byok, finish_class, is_cancelled
