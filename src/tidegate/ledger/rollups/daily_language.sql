-- rollup: daily_language
-- text: Usage and money by day, language of the user's turns and model.
-- from: rows
-- key: source_id, day, language, response_model, model_variant, is_byok
-- sum: calls, sampled_calls, usage_input_tokens, usage_output_tokens, total_tokens, cost_nano_usd
--
-- day: UTC.
-- language: BCP 47 tag (`und`: the text gives none away; `zxx`: all code); null for calls that nobody labelled.
-- sampled_calls: the calls themselves, each once. Every other measure is weighted: a labelled call counts
-- sample_weight times, one without a language once. So shares of languages are ratios among rows with a language,
-- and the labelled part is the sum of sampled_calls with a language over the sum of all sampled_calls.
-- total_tokens: input plus output of calls where both are known.
-- rows: the ledger's rows with derived columns that the engine at hand prepares: day (the UTC date of ts), the newest
-- label of each call where it came later than its row, and sample_weight (tag_sample_weight; 1 where that is null or
-- not between 1 and 1,000,000).
-- merge: group by the key, add each measure. A measure that no row has is null, never zero.
WITH measured AS (
  SELECT
    source_id,
    day,
    language,
    response_model,
    model_variant,
    is_byok,
    CASE WHEN language IS NULL THEN 1 ELSE sample_weight END AS weight,
    CAST(usage_input_tokens AS DECIMAL(38, 0)) AS input,
    CAST(usage_output_tokens AS DECIMAL(38, 0)) AS output,
    CAST(cost_nano_usd AS DECIMAL(38, 0)) AS cost
  FROM rows
)
SELECT
  source_id,
  day,
  language,
  response_model,
  model_variant,
  is_byok,
  CAST(SUM(weight) AS BIGINT) AS calls,
  CAST(COUNT(*) AS BIGINT) AS sampled_calls,
  SUM(input * weight) AS usage_input_tokens,
  SUM(output * weight) AS usage_output_tokens,
  SUM((input + output) * weight) AS total_tokens,
  SUM(cost * weight) AS cost_nano_usd
FROM measured
GROUP BY source_id, day, language, response_model, model_variant, is_byok
