-- One change of a waiting line, on the server, by the server's clock. `line.rs` says in Rust what each does.
--
-- KEYS   order    list: ids of batches, head first
--        items    hash: id -> "<owner> <entered ms> <about>", and "<id>:n" -> number of files, "*" for all
--        alive    sorted set: id -> when it leaves unless it is renewed, ms
--        waiting  hash: owner -> its batch that waits
--        dirty    hash: id -> paths, each ended by a zero byte
--        head     hash: id, token of the batch that syncs
--        token    the last fencing token
-- ARGV   what to do, channel of wake-ups, lease ms, stale ms, token floor, then what that needs
local ORDER, ITEMS, ALIVE, WAITING, DIRTY, HEAD, TOKEN = unpack(KEYS)
local DO, CHANNEL, LEASE, STALE, FLOOR = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local KEPT_MS, TOKEN_KEPT_MS, MOST_PATHS = 24 * 3600 * 1000, 30 * 24 * 3600 * 1000, 1000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local changed = false

local function whole(number)
    return string.format('%.0f', number)
end

local function drop(id)
    local item = redis.call('HGET', ITEMS, id)
    redis.call('LREM', ORDER, 0, id)
    redis.call('ZREM', ALIVE, id)
    redis.call('HDEL', ITEMS, id, id .. ':n')
    redis.call('HDEL', DIRTY, id)
    local owner = item and string.match(item, '^%S+')
    if owner and redis.call('HGET', WAITING, owner) == id then redis.call('HDEL', WAITING, owner) end
    if redis.call('HGET', HEAD, 'id') == id then redis.call('DEL', HEAD) end
    changed = true
end

-- Takes out what nobody has renewed, what has waited for too long, and what is left of a line that lost a key.
local function settle()
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', ALIVE, '-inf', now, 'LIMIT', 0, 1000)) do drop(id) end
    local at = 0
    while at < 2 do
        local id = redis.call('LINDEX', ORDER, at)
        if not id then break end
        local item = redis.call('HGET', ITEMS, id)
        local entered = item and tonumber(string.match(item, '^%S+ (%d+)'))
        local syncs = redis.call('HGET', HEAD, 'id') == id
        if not entered or not redis.call('ZSCORE', ALIVE, id) or (not syncs and entered < now - STALE) then
            drop(id)
        else
            at = at + 1
        end
    end
    local first = redis.call('LINDEX', ORDER, 0)
    if not first then
        redis.call('DEL', ITEMS, ALIVE, WAITING, DIRTY, HEAD)
    elseif redis.call('HGET', HEAD, 'id') ~= first then
        redis.call('DEL', HEAD)
    end
end

local function renew(id)
    redis.call('ZADD', ALIVE, whole(now + LEASE), id)
end

local function place(id)
    local position = redis.call('LPOS', ORDER, id)
    if not position then return { 'gone' } end
    if position > 0 then
        local head = redis.call('LINDEX', ORDER, 0)
        local left = (tonumber(redis.call('ZSCORE', ALIVE, head)) or now) - now
        renew(id)
        return { 'waiting', whole(position), whole(math.max(0, left)) }
    end
    renew(id)
    local token = redis.call('HGET', HEAD, 'token')
    if not token then
        -- Above all that were given, also when the server has forgotten them: they begin at the microsecond of today.
        local last = tonumber(redis.call('GET', TOKEN)) or 0
        token = whole(math.max(last + 1, FLOOR + 1, time[1] * 1000000 + time[2]))
        redis.call('SET', TOKEN, token, 'PX', TOKEN_KEPT_MS)
        redis.call('HSET', HEAD, 'id', id, 'token', token)
        local owner = string.match(redis.call('HGET', ITEMS, id), '^%S+')
        if redis.call('HGET', WAITING, owner) == id then redis.call('HDEL', WAITING, owner) end
        changed = true
    end
    local about = string.match(redis.call('HGET', ITEMS, id), '^%S+ %d+ (.*)$')
    local n = redis.call('HGET', ITEMS, id .. ':n') or '*'
    return { 'head', token, about, n, redis.call('HGET', DIRTY, id) or '' }
end

local function join(id, n, paths)
    local before = redis.call('HGET', ITEMS, id .. ':n') or '*'
    renew(id)
    if before == '*' then return end
    local seen, all, count = {}, {}, 0
    if n ~= '*' then
        for path in string.gmatch((redis.call('HGET', DIRTY, id) or '') .. paths, '[^%z]+') do
            if not seen[path] then
                seen[path], count = true, count + 1
                all[count] = path
            end
        end
    end
    if n == '*' or count > MOST_PATHS then
        redis.call('HSET', ITEMS, id .. ':n', '*')
        redis.call('HDEL', DIRTY, id)
        changed = true
    elseif count ~= tonumber(before) then
        redis.call('HSET', ITEMS, id .. ':n', whole(count))
        redis.call('HSET', DIRTY, id, table.concat(all, '\0') .. '\0')
        changed = true
    end
end

local does = {}

function does.enqueue()
    local most, id, owner, about, n, paths = tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9], ARGV[10], ARGV[11]
    if not redis.call('ZSCORE', ALIVE, id) then
        local waits = redis.call('HGET', WAITING, owner)
        if waits and redis.call('ZSCORE', ALIVE, waits) then
            join(waits, n, paths)
            return { 'joined', waits }
        end
        if redis.call('LLEN', ORDER) >= most then return { 'full' } end
        redis.call('RPUSH', ORDER, id)
        redis.call('HSET', ITEMS, id, owner .. ' ' .. whole(now) .. ' ' .. about, id .. ':n', n)
        redis.call('HSET', WAITING, owner, id)
        if n ~= '*' then redis.call('HSET', DIRTY, id, paths) end
        changed = true
    end
    return place(id)
end

function does.claim()
    return place(ARGV[6])
end

function does.renew()
    local id, token = ARGV[6], ARGV[7]
    if redis.call('HGET', HEAD, 'id') ~= id or redis.call('HGET', HEAD, 'token') ~= token then return { 'lost' } end
    renew(id)
    return { 'held' }
end

function does.leave()
    if not redis.call('ZSCORE', ALIVE, ARGV[6]) then return { 'gone' } end
    drop(ARGV[6])
    return { 'left' }
end

function does.clear()
    if redis.call('DEL', ORDER, ITEMS, ALIVE, WAITING, DIRTY, HEAD) > 0 then changed = true end
    return { 'left' }
end

-- Four fields for each batch: about, number of files, token, ms until it leaves.
function does.queue()
    local shown = {}
    local syncs = redis.call('HGET', HEAD, 'id')
    for _, id in ipairs(redis.call('LRANGE', ORDER, 0, -1)) do
        local item, alive = redis.call('HGET', ITEMS, id), redis.call('ZSCORE', ALIVE, id)
        if item and alive then
            shown[#shown + 1] = string.match(item, '^%S+ %d+ (.*)$') or ''
            shown[#shown + 1] = redis.call('HGET', ITEMS, id .. ':n') or '*'
            shown[#shown + 1] = (syncs == id and redis.call('HGET', HEAD, 'token')) or ''
            shown[#shown + 1] = whole(alive - now)
        end
    end
    return shown
end

settle()
local answer = does[DO]()
if changed then
    for _, key in ipairs({ ORDER, ITEMS, ALIVE, WAITING, DIRTY, HEAD }) do redis.call('PEXPIRE', key, KEPT_MS) end
    redis.call('PUBLISH', CHANNEL, redis.call('LINDEX', ORDER, 0) or '')
end
return answer
