-- Values of one namespace: how much they take together is known and bounded.
--
-- KEYS   ends   sorted set: key -> when its value ends, ms
--        sizes  hash: key -> bytes
--        total  bytes of all
-- ARGV   what to do, prefix of the values' keys, then what that needs
local ENDS, SIZES, TOTAL = unpack(KEYS)
local DO, PREFIX = ARGV[1], ARGV[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function forget(key)
    local size = tonumber(redis.call('HGET', SIZES, key)) or 0
    redis.call('ZREM', ENDS, key)
    redis.call('HDEL', SIZES, key)
    if redis.call('ZCARD', ENDS) == 0 then
        redis.call('DEL', TOTAL, SIZES)
    else
        redis.call('DECRBY', TOTAL, size)
    end
    return redis.call('UNLINK', PREFIX .. key)
end

for _, key in ipairs(redis.call('ZRANGEBYSCORE', ENDS, '-inf', now, 'LIMIT', 0, 100)) do forget(key) end

if DO == 'set' then
    local key, value, lifetime, capacity = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
    local size = #key + #value
    local before = tonumber(redis.call('HGET', SIZES, key)) or 0
    redis.call('SET', PREFIX .. key, value, 'PX', lifetime)
    redis.call('ZADD', ENDS, string.format('%.0f', now + lifetime), key)
    redis.call('HSET', SIZES, key, size)
    local total = redis.call('INCRBY', TOTAL, size - before)
    -- Those that would end next go first.
    while total > capacity do
        local next = redis.call('ZRANGE', ENDS, 0, 0)[1]
        if not next or next == key then break end
        forget(next)
        total = tonumber(redis.call('GET', TOTAL)) or 0
    end
    for _, name in ipairs(KEYS) do redis.call('PEXPIRE', name, 2 * lifetime) end
    return 1
elseif DO == 'delete' then
    return forget(ARGV[3])
elseif DO == 'clear' then
    -- Some at a time: whoever asks asks again until none is left.
    for _, key in ipairs(redis.call('ZRANGE', ENDS, 0, 999)) do forget(key) end
    return redis.call('ZCARD', ENDS)
elseif DO == 'stats' then
    return { redis.call('ZCARD', ENDS), tonumber(redis.call('GET', TOTAL)) or 0 }
end
