-- rollup: daily_tags
-- text: Usage and money by day, task label and model, of the calls that were labelled.
-- from: tags
-- key: source_id, day, response_model, model_variant, is_byok, label_rule, tag_path
-- sum: calls, sampled_calls, usage_input_tokens, usage_output_tokens, total_tokens, cost_nano_usd, tool_calls
--
-- day: UTC.
-- tag_path: the full path of the label; empty for the rules base and none.
-- label_rule: how a call with several labels counts. top: all of it under its best label (ties: the first path by
-- name). split: in equal whole parts, what is left over going to the better labels; the parts of a call add up to the
-- call. any: all of it under each of its labels, so that labels overlap and their sum exceeds the whole. base: every
-- call with a label, once: the denominator of all three. none: calls that were looked at and got no label.
-- A label counts if its confidence is at least one half. Calls that nobody looked at are in no row.
-- sampled_calls: the labelled calls themselves, each once per row. Every other measure is weighted: a call counts
-- sample_weight times. Sums and shares are for one label_rule at a time.
-- tags: one row for each call and label, prepared by the engine at hand from rows and later labels: day, tag_path,
-- tag_rank (1 is the best), tag_count (labels of the call), sample_weight (tag_sample_weight; 1 where that is null or
-- not between 1 and 1,000,000) and the call's own columns; one row with tag_rank 1, tag_count 0 and no path for a call
-- without a label.
-- merge: group by the key, add each measure. A measure that no row has is null, never zero.
WITH whole AS (
  SELECT source_id, day, response_model, model_variant, is_byok, tag_path, tag_rank, tag_count,
    sample_weight AS calls,
    CAST(usage_input_tokens AS DECIMAL(38, 0)) * sample_weight AS input,
    CAST(usage_output_tokens AS DECIMAL(38, 0)) * sample_weight AS output,
    CAST(cost_nano_usd AS DECIMAL(38, 0)) * sample_weight AS cost,
    CAST(tool_calls AS DECIMAL(38, 0)) * sample_weight AS tool_calls
  FROM tags
),
parts AS (
  SELECT source_id, day, response_model, model_variant, is_byok, tag_path,
    (sample_weight - MOD(sample_weight, tag_count)) // tag_count
      + CASE WHEN tag_rank <= MOD(sample_weight, tag_count) THEN 1 ELSE 0 END AS calls,
    CAST((usage_input_tokens - MOD(usage_input_tokens, tag_count)) // tag_count AS DECIMAL(38, 0)) * sample_weight
      + (MOD(usage_input_tokens, tag_count) * sample_weight - MOD(MOD(usage_input_tokens, tag_count) * sample_weight, tag_count)) // tag_count
      + CASE WHEN tag_rank <= MOD(MOD(usage_input_tokens, tag_count) * sample_weight, tag_count) THEN 1 ELSE 0 END AS input,
    CAST((usage_output_tokens - MOD(usage_output_tokens, tag_count)) // tag_count AS DECIMAL(38, 0)) * sample_weight
      + (MOD(usage_output_tokens, tag_count) * sample_weight - MOD(MOD(usage_output_tokens, tag_count) * sample_weight, tag_count)) // tag_count
      + CASE WHEN tag_rank <= MOD(MOD(usage_output_tokens, tag_count) * sample_weight, tag_count) THEN 1 ELSE 0 END AS output,
    CAST((cost_nano_usd - MOD(cost_nano_usd, tag_count)) // tag_count AS DECIMAL(38, 0)) * sample_weight
      + (MOD(cost_nano_usd, tag_count) * sample_weight - MOD(MOD(cost_nano_usd, tag_count) * sample_weight, tag_count)) // tag_count
      + CASE WHEN tag_rank <= MOD(MOD(cost_nano_usd, tag_count) * sample_weight, tag_count) THEN 1 ELSE 0 END AS cost,
    CAST((tool_calls - MOD(tool_calls, tag_count)) // tag_count AS DECIMAL(38, 0)) * sample_weight
      + (MOD(tool_calls, tag_count) * sample_weight - MOD(MOD(tool_calls, tag_count) * sample_weight, tag_count)) // tag_count
      + CASE WHEN tag_rank <= MOD(MOD(tool_calls, tag_count) * sample_weight, tag_count) THEN 1 ELSE 0 END AS tool_calls
  FROM tags
  WHERE tag_count > 0
),
ruled AS (
  SELECT source_id, day, response_model, model_variant, is_byok,
    CASE WHEN tag_count = 0 THEN 'none' ELSE 'base' END AS label_rule, '' AS tag_path,
    calls, input, output, cost, tool_calls
  FROM whole
  WHERE tag_rank = 1
  UNION ALL
  SELECT source_id, day, response_model, model_variant, is_byok, 'top' AS label_rule, tag_path,
    calls, input, output, cost, tool_calls
  FROM whole
  WHERE tag_rank = 1 AND tag_count > 0
  UNION ALL
  SELECT source_id, day, response_model, model_variant, is_byok, 'any' AS label_rule, tag_path,
    calls, input, output, cost, tool_calls
  FROM whole
  WHERE tag_count > 0
  UNION ALL
  SELECT source_id, day, response_model, model_variant, is_byok, 'split' AS label_rule, tag_path,
    calls, input, output, cost, tool_calls
  FROM parts
)
SELECT
  source_id,
  day,
  response_model,
  model_variant,
  is_byok,
  label_rule,
  tag_path,
  CAST(SUM(calls) AS BIGINT) AS calls,
  CAST(COUNT(*) AS BIGINT) AS sampled_calls,
  CAST(SUM(input) AS DECIMAL(38, 0)) AS usage_input_tokens,
  CAST(SUM(output) AS DECIMAL(38, 0)) AS usage_output_tokens,
  CAST(SUM(input + output) AS DECIMAL(38, 0)) AS total_tokens,
  CAST(SUM(cost) AS DECIMAL(38, 0)) AS cost_nano_usd,
  CAST(SUM(tool_calls) AS DECIMAL(38, 0)) AS tool_calls
FROM ruled
GROUP BY source_id, day, response_model, model_variant, is_byok, label_rule, tag_path
