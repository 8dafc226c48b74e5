-- One worker's word on one window, taken in and answered. The arithmetic is that of account.py, for a pool of slices
-- that the SQL store granted: free = g - r - s - u (granted to the pool, returned by it, spent, unspent with workers).
-- KEYS: epoch, window, windows of the worker, windows that SQL has not heard of
-- ARGV: epoch, worker, granted, returned, spent, want, want_min, workers, is_last (a refusal is final), share
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('EPOCH another one has begun')
end
local worker, window = ARGV[2], KEYS[2]
local asked, returned, spent = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local want, want_min, workers = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local found = redis.call('HMGET', window, 'g', 'r', 's', 'u', 'wanted', worker)
local function number(text) return tonumber(text or '0') or 0 end
local function text(number) return string.format('%.0f', number) end
local g, r, s, u, wanted = number(found[1]), number(found[2]), number(found[3]), number(found[4]), number(found[5])
local own = found[6] and cjson.decode(found[6]) or {0, 0, 0}
local is_up_to_date = asked == own[1]
local before = own[1] - own[2] - own[3]

own[2] = math.max(own[2], returned)
if spent > own[3] then
  s = s + spent - own[3]
  own[3] = spent
end
own[1] = math.max(own[1], own[2] + own[3])
u = u + own[1] - own[2] - own[3] - before

local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local free, is_short = g - r - s - u, 0
want = math.max(want, want_min)
if want > 0 and is_up_to_date then
  local size = math.min(want, math.max(want_min, 1, math.floor(free / (tonumber(ARGV[10]) * workers))))
  if size <= free then
    own[1] = own[1] + size
    u = u + size
    free = free - size
  else
    is_short = 1
    if ARGV[9] == '1' and want_min > 0 then wanted = now_ms end
  end
end

local kept = '[' .. text(own[1]) .. ',' .. text(own[2]) .. ',' .. text(own[3]) .. ']'
redis.call('HSET', window, 's', text(s), 'u', text(u), 'wanted', text(wanted), worker, kept)
redis.call('SADD', KEYS[3], window)
redis.call('SADD', KEYS[4], window)
local others = u - (own[1] - own[2] - own[3])
return {text(own[1]), text(free), text(others), is_short, text(g), text(r), text(s), text(now_ms - wanted)}
