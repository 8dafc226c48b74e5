-- A worker has left, or was silent for a lease: what it had not spent of a window goes back into the pool.
-- KEYS: epoch, window, windows that SQL has not heard of. ARGV: epoch, worker, has_left
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('EPOCH another one has begun')
end
local found = redis.call('HGET', KEYS[2], ARGV[2])
if not found then return 0 end
local own = cjson.decode(found)
local left = own[1] - own[2] - own[3]
redis.call('HINCRBY', KEYS[2], 'u', string.format('%.0f', 0 - left))  -- never '-0', which is no integer to HINCRBY
if ARGV[3] == '1' then
  redis.call('HDEL', KEYS[2], ARGV[2])
else
  redis.call('HSET', KEYS[2], ARGV[2], string.format('[%.0f,%.0f,%.0f]', own[1] - left, own[2], own[3]))
end
redis.call('SADD', KEYS[3], KEYS[2])
return 1
