-- rollup: active_months
-- text: In which months an account or an end user used a model: what retention is computed from.
-- from: rows
-- key: source_id, unit_of, unit, response_model, month_block
-- bit_or: months_mask
--
-- unit_of: tenant or user.
-- unit: its tenant_id or user_hash. A call that lacks the unit, or has no model, is in no row.
-- month_block: which 48 months, UTC: 0 is 2020-01 to 2023-12, 1 is 2024-01 to 2027-12; earlier ones are negative.
-- months_mask: bit b (worth 2 to the b, b from 0 to 47) is set if the unit got an answer in month b of the block. A
-- call that failed (an error type, or a status of 400 or more) makes nobody active.
-- merge: group by the key, OR the masks. So a month counts once, however many machines saw it.
WITH numbered AS (
  SELECT
    source_id,
    tenant_id,
    user_hash,
    response_model,
    EXTRACT(YEAR FROM day) * 12 + EXTRACT(MONTH FROM day) - 1 AS month_no
  FROM rows
  WHERE response_model IS NOT NULL AND error_type IS NULL AND (status_code IS NULL OR status_code < 400)
),
units AS (
  SELECT source_id, 'tenant' AS unit_of, tenant_id AS unit, response_model, month_no
  FROM numbered
  WHERE tenant_id IS NOT NULL
  UNION ALL
  SELECT source_id, 'user' AS unit_of, user_hash AS unit, response_model, month_no
  FROM numbered
  WHERE user_hash IS NOT NULL
)
SELECT
  source_id,
  unit_of,
  unit,
  response_model,
  CAST((month_no - MOD(month_no, 48)) / 48 - 505 AS BIGINT) AS month_block,
  BIT_OR(CAST(POWER(2, MOD(month_no, 48)) AS BIGINT)) AS months_mask
FROM units
GROUP BY source_id, unit_of, unit, response_model, CAST((month_no - MOD(month_no, 48)) / 48 - 505 AS BIGINT)
