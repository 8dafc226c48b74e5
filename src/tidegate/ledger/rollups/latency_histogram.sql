-- rollup: latency_histogram
-- text: How long callers waited, as counts by bucket of time.
-- from: rows
-- key: source_id, day, response_model, provider_name, latency_of, bucket
-- sum: calls, latency_us
--
-- day: UTC.
-- latency_of: first_chunk (request arrival to first answer byte) or duration (to the last byte).
-- bucket: the shortest time in it, in microseconds. Buckets keep 7 significant bits, as those of length_histogram: a
-- time is known to better than one part in 64; everything from 2^40 us (12 days) on shares one. A call whose time is
-- unknown, or that a cache answered, is in no bucket; a negative time, which only a clock set back can give, is in the
-- bucket -1.
-- latency_us: the sum of those times, so that means are exact; negative ones add nothing.
-- merge: group by the key, add each measure.
WITH timed AS (
  SELECT source_id, day, response_model, provider_name, 'first_chunk' AS latency_of,
    time_to_first_chunk_us AS time_us
  FROM rows
  WHERE time_to_first_chunk_us IS NOT NULL AND (is_cached IS NULL OR is_cached = FALSE)
  UNION ALL
  SELECT source_id, day, response_model, provider_name, 'duration' AS latency_of, duration_us AS time_us
  FROM rows
  WHERE duration_us IS NOT NULL AND (is_cached IS NULL OR is_cached = FALSE)
),
bucketed AS (
  SELECT source_id, day, response_model, provider_name, latency_of,
    CASE WHEN time_us < 0 THEN 0 ELSE time_us END AS counted_us,
    CASE
      WHEN time_us < 0 THEN -1
      WHEN time_us < 128 THEN time_us
      WHEN time_us < 256 THEN time_us - MOD(time_us, 2)
      WHEN time_us < 512 THEN time_us - MOD(time_us, 4)
      WHEN time_us < 1024 THEN time_us - MOD(time_us, 8)
      WHEN time_us < 2048 THEN time_us - MOD(time_us, 16)
      WHEN time_us < 4096 THEN time_us - MOD(time_us, 32)
      WHEN time_us < 8192 THEN time_us - MOD(time_us, 64)
      WHEN time_us < 16384 THEN time_us - MOD(time_us, 128)
      WHEN time_us < 32768 THEN time_us - MOD(time_us, 256)
      WHEN time_us < 65536 THEN time_us - MOD(time_us, 512)
      WHEN time_us < 131072 THEN time_us - MOD(time_us, 1024)
      WHEN time_us < 262144 THEN time_us - MOD(time_us, 2048)
      WHEN time_us < 524288 THEN time_us - MOD(time_us, 4096)
      WHEN time_us < 1048576 THEN time_us - MOD(time_us, 8192)
      WHEN time_us < 2097152 THEN time_us - MOD(time_us, 16384)
      WHEN time_us < 4194304 THEN time_us - MOD(time_us, 32768)
      WHEN time_us < 8388608 THEN time_us - MOD(time_us, 65536)
      WHEN time_us < 16777216 THEN time_us - MOD(time_us, 131072)
      WHEN time_us < 33554432 THEN time_us - MOD(time_us, 262144)
      WHEN time_us < 67108864 THEN time_us - MOD(time_us, 524288)
      WHEN time_us < 134217728 THEN time_us - MOD(time_us, 1048576)
      WHEN time_us < 268435456 THEN time_us - MOD(time_us, 2097152)
      WHEN time_us < 536870912 THEN time_us - MOD(time_us, 4194304)
      WHEN time_us < 1073741824 THEN time_us - MOD(time_us, 8388608)
      WHEN time_us < 2147483648 THEN time_us - MOD(time_us, 16777216)
      WHEN time_us < 4294967296 THEN time_us - MOD(time_us, 33554432)
      WHEN time_us < 8589934592 THEN time_us - MOD(time_us, 67108864)
      WHEN time_us < 17179869184 THEN time_us - MOD(time_us, 134217728)
      WHEN time_us < 34359738368 THEN time_us - MOD(time_us, 268435456)
      WHEN time_us < 68719476736 THEN time_us - MOD(time_us, 536870912)
      WHEN time_us < 137438953472 THEN time_us - MOD(time_us, 1073741824)
      WHEN time_us < 274877906944 THEN time_us - MOD(time_us, 2147483648)
      WHEN time_us < 549755813888 THEN time_us - MOD(time_us, 4294967296)
      WHEN time_us < 1099511627776 THEN time_us - MOD(time_us, 8589934592)
      ELSE 1099511627776
    END AS bucket
  FROM timed
)
SELECT
  source_id,
  day,
  response_model,
  provider_name,
  latency_of,
  CAST(bucket AS BIGINT) AS bucket,
  CAST(COUNT(*) AS BIGINT) AS calls,
  SUM(CAST(counted_us AS DECIMAL(38, 0))) AS latency_us
FROM bucketed
GROUP BY source_id, day, response_model, provider_name, latency_of, bucket
