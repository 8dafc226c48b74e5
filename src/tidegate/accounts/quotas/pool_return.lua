-- Somebody before the database wants more of a window than remains: the pool gives back what none of its workers holds.
-- KEYS: epoch, window, windows that SQL has not heard of. ARGV: epoch
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('EPOCH another one has begun')
end
local found = redis.call('HMGET', KEYS[2], 'g', 'r', 's', 'u')
local function number(text) return tonumber(text or '0') or 0 end
local free = number(found[1]) - number(found[2]) - number(found[3]) - number(found[4])
if free > 0 then
  redis.call('HSET', KEYS[2], 'r', string.format('%.0f', number(found[2]) + free))
  redis.call('SADD', KEYS[3], KEYS[2])
end
return 1
