-- The SQL store's answer to the pool. What it granted counts if nobody has taken in another answer in the meantime.
-- KEYS: epoch, window. ARGV: epoch, granted as it was asked, granted as it was answered, expires in ms (0: never)
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('EPOCH another one has begun')
end
if (redis.call('HGET', KEYS[2], 'g') or '0') == ARGV[2] then
  redis.call('HSET', KEYS[2], 'g', ARGV[3])
end
if ARGV[4] ~= '0' then
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
end
return 1
