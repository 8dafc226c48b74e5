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
-- unknown is in no bucket; a negative time, which only a clock set back can give, is in the bucket -1.
-- latency_us: the sum of those times, so that means are exact; negative ones add nothing.
-- merge: group by the key, add each measure.
WITH timed AS (
  SELECT source_id, day, response_model, provider_name, 'first_chunk' AS latency_of,
    time_to_first_chunk_us AS latency_us
  FROM rows
  WHERE time_to_first_chunk_us IS NOT NULL
  UNION ALL
  SELECT source_id, day, response_model, provider_name, 'duration' AS latency_of, duration_us AS latency_us
  FROM rows
  WHERE duration_us IS NOT NULL
),
bucketed AS (
  SELECT source_id, day, response_model, provider_name, latency_of,
    CASE WHEN latency_us < 0 THEN 0 ELSE latency_us END AS latency_us,
    CASE
      WHEN latency_us < 0 THEN -1
      WHEN latency_us < 128 THEN latency_us
      WHEN latency_us < 256 THEN latency_us - MOD(latency_us, 2)
      WHEN latency_us < 512 THEN latency_us - MOD(latency_us, 4)
      WHEN latency_us < 1024 THEN latency_us - MOD(latency_us, 8)
      WHEN latency_us < 2048 THEN latency_us - MOD(latency_us, 16)
      WHEN latency_us < 4096 THEN latency_us - MOD(latency_us, 32)
      WHEN latency_us < 8192 THEN latency_us - MOD(latency_us, 64)
      WHEN latency_us < 16384 THEN latency_us - MOD(latency_us, 128)
      WHEN latency_us < 32768 THEN latency_us - MOD(latency_us, 256)
      WHEN latency_us < 65536 THEN latency_us - MOD(latency_us, 512)
      WHEN latency_us < 131072 THEN latency_us - MOD(latency_us, 1024)
      WHEN latency_us < 262144 THEN latency_us - MOD(latency_us, 2048)
      WHEN latency_us < 524288 THEN latency_us - MOD(latency_us, 4096)
      WHEN latency_us < 1048576 THEN latency_us - MOD(latency_us, 8192)
      WHEN latency_us < 2097152 THEN latency_us - MOD(latency_us, 16384)
      WHEN latency_us < 4194304 THEN latency_us - MOD(latency_us, 32768)
      WHEN latency_us < 8388608 THEN latency_us - MOD(latency_us, 65536)
      WHEN latency_us < 16777216 THEN latency_us - MOD(latency_us, 131072)
      WHEN latency_us < 33554432 THEN latency_us - MOD(latency_us, 262144)
      WHEN latency_us < 67108864 THEN latency_us - MOD(latency_us, 524288)
      WHEN latency_us < 134217728 THEN latency_us - MOD(latency_us, 1048576)
      WHEN latency_us < 268435456 THEN latency_us - MOD(latency_us, 2097152)
      WHEN latency_us < 536870912 THEN latency_us - MOD(latency_us, 4194304)
      WHEN latency_us < 1073741824 THEN latency_us - MOD(latency_us, 8388608)
      WHEN latency_us < 2147483648 THEN latency_us - MOD(latency_us, 16777216)
      WHEN latency_us < 4294967296 THEN latency_us - MOD(latency_us, 33554432)
      WHEN latency_us < 8589934592 THEN latency_us - MOD(latency_us, 67108864)
      WHEN latency_us < 17179869184 THEN latency_us - MOD(latency_us, 134217728)
      WHEN latency_us < 34359738368 THEN latency_us - MOD(latency_us, 268435456)
      WHEN latency_us < 68719476736 THEN latency_us - MOD(latency_us, 536870912)
      WHEN latency_us < 137438953472 THEN latency_us - MOD(latency_us, 1073741824)
      WHEN latency_us < 274877906944 THEN latency_us - MOD(latency_us, 2147483648)
      WHEN latency_us < 549755813888 THEN latency_us - MOD(latency_us, 4294967296)
      WHEN latency_us < 1099511627776 THEN latency_us - MOD(latency_us, 8589934592)
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
  SUM(CAST(latency_us AS DECIMAL(38, 0))) AS latency_us
FROM bucketed
GROUP BY source_id, day, response_model, provider_name, latency_of, bucket
