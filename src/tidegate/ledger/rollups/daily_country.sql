-- rollup: daily_country
-- text: Usage and money by day, country and model.
-- from: rows
-- key: source_id, day, billing_country, ip_country, response_model, model_variant, is_byok
-- sum: calls, usage_input_tokens, usage_output_tokens, total_tokens, cost_nano_usd
--
-- day: UTC.
-- billing_country: of the account's billing address.
-- ip_country: where the caller's address is registered.
-- Both ISO 3166 alpha-2, null where the source does not say: the two are different questions, never mixed.
-- total_tokens: input plus output of calls where both are known.
-- merge: group by the key, add each measure. A measure that no row has is null, never zero.
WITH measured AS (
  SELECT
    source_id,
    day,
    billing_country,
    ip_country,
    response_model,
    model_variant,
    is_byok,
    CAST(usage_input_tokens AS DECIMAL(38, 0)) AS input,
    CAST(usage_output_tokens AS DECIMAL(38, 0)) AS output,
    CAST(cost_nano_usd AS DECIMAL(38, 0)) AS cost
  FROM rows
)
SELECT
  source_id,
  day,
  billing_country,
  ip_country,
  response_model,
  model_variant,
  is_byok,
  CAST(COUNT(*) AS BIGINT) AS calls,
  SUM(input) AS usage_input_tokens,
  SUM(output) AS usage_output_tokens,
  SUM(input + output) AS total_tokens,
  SUM(cost) AS cost_nano_usd
FROM measured
GROUP BY source_id, day, billing_country, ip_country, response_model, model_variant, is_byok
