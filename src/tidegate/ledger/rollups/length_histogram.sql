-- rollup: length_histogram
-- text: How long prompts and answers are, as counts by bucket of length.
-- from: rows
-- key: source_id, week, response_model, tag_path, length_of, bucket
-- sum: calls, tokens
--
-- week: its Monday, UTC.
-- tag_path: the task label the counts stand for; empty for all calls, labelled or not.
-- length_of: input, output or total, in tokens; a call of unknown length, or that a cache answered, is in no bucket.
-- bucket: the smallest length in it. Buckets keep 7 significant bits: exact below 128, then 2 wide, from 256 on
-- 4 wide and so on, so that a length is known to better than one part in 64; everything from 2^40 on shares one.
-- calls: weighted: each call counts sample_weight times under its label, once under the empty one.
-- tokens: the sum of those lengths, so that means are exact.
-- rows: the ledger's rows with derived columns that the engine at hand prepares: day (the UTC date of ts), the newest
-- label of each call where it came later than its row, top_tag_path (its path of highest confidence, at least one half;
-- null if there is none) and sample_weight (tag_sample_weight; 1 where that is null or not between 1 and 1,000,000).
-- merge: group by the key, add each measure.
WITH labelled AS (
  SELECT source_id, day, response_model, '' AS tag_path, 1 AS weight, usage_input_tokens, usage_output_tokens
  FROM rows
  WHERE is_cached IS NULL OR is_cached = FALSE
  UNION ALL
  SELECT source_id, day, response_model, top_tag_path AS tag_path, sample_weight AS weight,
    usage_input_tokens, usage_output_tokens
  FROM rows
  WHERE top_tag_path IS NOT NULL AND (is_cached IS NULL OR is_cached = FALSE)
),
lengths AS (
  SELECT source_id, day, response_model, tag_path, weight, 'input' AS length_of, usage_input_tokens AS tokens
  FROM labelled
  WHERE usage_input_tokens IS NOT NULL
  UNION ALL
  SELECT source_id, day, response_model, tag_path, weight, 'output' AS length_of, usage_output_tokens AS tokens
  FROM labelled
  WHERE usage_output_tokens IS NOT NULL
  UNION ALL
  SELECT source_id, day, response_model, tag_path, weight, 'total' AS length_of,
    CAST(usage_input_tokens AS DECIMAL(38, 0)) + usage_output_tokens AS tokens
  FROM labelled
  WHERE usage_input_tokens IS NOT NULL AND usage_output_tokens IS NOT NULL
),
bucketed AS (
  SELECT source_id, CAST(DATE_TRUNC('week', day) AS DATE) AS week, response_model, tag_path, weight, length_of, tokens,
  CASE
    WHEN tokens < 128 THEN tokens
    WHEN tokens < 256 THEN tokens - MOD(tokens, 2)
    WHEN tokens < 512 THEN tokens - MOD(tokens, 4)
    WHEN tokens < 1024 THEN tokens - MOD(tokens, 8)
    WHEN tokens < 2048 THEN tokens - MOD(tokens, 16)
    WHEN tokens < 4096 THEN tokens - MOD(tokens, 32)
    WHEN tokens < 8192 THEN tokens - MOD(tokens, 64)
    WHEN tokens < 16384 THEN tokens - MOD(tokens, 128)
    WHEN tokens < 32768 THEN tokens - MOD(tokens, 256)
    WHEN tokens < 65536 THEN tokens - MOD(tokens, 512)
    WHEN tokens < 131072 THEN tokens - MOD(tokens, 1024)
    WHEN tokens < 262144 THEN tokens - MOD(tokens, 2048)
    WHEN tokens < 524288 THEN tokens - MOD(tokens, 4096)
    WHEN tokens < 1048576 THEN tokens - MOD(tokens, 8192)
    WHEN tokens < 2097152 THEN tokens - MOD(tokens, 16384)
    WHEN tokens < 4194304 THEN tokens - MOD(tokens, 32768)
    WHEN tokens < 8388608 THEN tokens - MOD(tokens, 65536)
    WHEN tokens < 16777216 THEN tokens - MOD(tokens, 131072)
    WHEN tokens < 33554432 THEN tokens - MOD(tokens, 262144)
    WHEN tokens < 67108864 THEN tokens - MOD(tokens, 524288)
    WHEN tokens < 134217728 THEN tokens - MOD(tokens, 1048576)
    WHEN tokens < 268435456 THEN tokens - MOD(tokens, 2097152)
    WHEN tokens < 536870912 THEN tokens - MOD(tokens, 4194304)
    WHEN tokens < 1073741824 THEN tokens - MOD(tokens, 8388608)
    WHEN tokens < 2147483648 THEN tokens - MOD(tokens, 16777216)
    WHEN tokens < 4294967296 THEN tokens - MOD(tokens, 33554432)
    WHEN tokens < 8589934592 THEN tokens - MOD(tokens, 67108864)
    WHEN tokens < 17179869184 THEN tokens - MOD(tokens, 134217728)
    WHEN tokens < 34359738368 THEN tokens - MOD(tokens, 268435456)
    WHEN tokens < 68719476736 THEN tokens - MOD(tokens, 536870912)
    WHEN tokens < 137438953472 THEN tokens - MOD(tokens, 1073741824)
    WHEN tokens < 274877906944 THEN tokens - MOD(tokens, 2147483648)
    WHEN tokens < 549755813888 THEN tokens - MOD(tokens, 4294967296)
    WHEN tokens < 1099511627776 THEN tokens - MOD(tokens, 8589934592)
    ELSE 1099511627776
  END AS bucket
  FROM lengths
)
SELECT
  source_id,
  week,
  response_model,
  tag_path,
  length_of,
  CAST(bucket AS BIGINT) AS bucket,
  CAST(SUM(weight) AS BIGINT) AS calls,
  SUM(CAST(tokens AS DECIMAL(38, 0)) * weight) AS tokens
FROM bucketed
GROUP BY source_id, week, response_model, tag_path, length_of, bucket
