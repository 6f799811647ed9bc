-- Leases of what all workers count together. Runs whole or not at all, in one round trip for any number of accounts.
-- An account is a hash: worker -> what it was granted, "=" -> what is counted for nobody in particular any more (money that is
-- in the ledger). KEYS: the living workers, then accounts. ARGV: this worker, seconds until a silent worker is taken for dead,
-- the channel for recalls, then for each account: what this worker has of it, what its calls want more, what the first of them wants,
-- the limit, the base, whether it holds none of it (1), whether a dead worker's part stays counted (1), seconds to keep it, name.
-- Gives: how many workers live, then for each account what is granted on top, and what the others have.

local time = redis.call('TIME')
local now = tonumber(time[1])
local me, silent, channel = ARGV[1], tonumber(ARGV[2]), ARGV[3]
redis.call('ZADD', KEYS[1], now, me)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - silent)
redis.call('EXPIRE', KEYS[1], 86400)
local alive = redis.call('ZCARD', KEYS[1])
local answer = { alive }

local function whole(number) return string.format('%.0f', number) end

for i = 2, #KEYS do
  local key, at = KEYS[i], 4 + (i - 2) * 9
  local own, need, first = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local limit, base = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  local idle, outlives = ARGV[at + 5] == '1', ARGV[at + 6] == '1'

  local others = 0
  local entries = redis.call('HGETALL', key)
  for j = 1, #entries, 2 do
    local worker, has = entries[j], tonumber(entries[j + 1])
    if worker == '=' then
      base = math.max(base, has)
    elseif worker ~= me then
      if outlives or redis.call('ZSCORE', KEYS[1], worker) then
        others = others + has
      else
        redis.call('HDEL', key, worker)
      end
    end
  end

  local grant = 0
  local free = limit - base - others - own
  if need > 0 and first > 0 and free > 0 then
    -- Blocks grow smaller as the end comes nearer, and hold whole calls: so little is left where it is not used.
    grant = math.floor(math.min(free, math.max(need, free / (4 * alive))) / first) * first
    if free >= need then grant = math.max(grant, need) end
  end
  if need > 0 and others == 0 and idle and base + own < limit then
    grant = math.max(grant, first)  -- one that is larger than all there is passes alone: else it never would
  end
  if grant < need and others > 0 then
    redis.call('PUBLISH', channel, ARGV[at + 8])
  end

  if own + grant ~= 0 then redis.call('HSET', key, me, whole(own + grant)) else redis.call('HDEL', key, me) end
  if base > 0 then redis.call('HSET', key, '=', whole(base)) end
  redis.call('EXPIRE', key, ARGV[at + 7])
  answer[#answer + 1] = whole(grant)
  answer[#answer + 1] = whole(base + others)
end
return answer
