-- One change of a queue, on the server, by the server's clock. `queue.rs` says in Rust what each does.
--
-- KEYS   order    list: ids of batches, head first
--        entries  hash: id -> "<owner and root> <entered, ms> <number of files, * for all> <about>"
--        alive    sorted set: id -> when it leaves unless it is renewed, ms
--        waiting  hash: owner and root -> their batch that waits
--        head     hash: id, token of the batch that syncs
--        token    the last fencing token
-- ARGV   what to do, channel of wake-ups, lease ms, stale ms, token floor, the batch's id, then what that needs
local ORDER, ENTRIES, ALIVE, WAITING, HEAD, TOKEN = unpack(KEYS)
local DO, CHANNEL, LEASE, STALE, FLOOR, ID = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local KEPT_MS, TOKEN_KEPT_MS = 24 * 3600 * 1000, 30 * 24 * 3600 * 1000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local changed = false

local function whole(number)
    return string.format('%.0f', number)
end

-- Owner and root, when it entered, number of files, about; nothing when there is no such entry.
local function entry(id)
    return string.match(redis.call('HGET', ENTRIES, id) or '', '^(%S+) (%d+) (%S+) (.*)$')
end

local function is_alive(id)
    return redis.call('ZSCORE', ALIVE, id)
end

local function renew()
    redis.call('ZADD', ALIVE, whole(now + LEASE), ID)
end

-- Its owner and root have no batch waiting any more.
local function waits_no_more(id, who)
    if who and redis.call('HGET', WAITING, who) == id then redis.call('HDEL', WAITING, who) end
end

local function drop(id)
    waits_no_more(id, (entry(id)))
    redis.call('LREM', ORDER, 0, id)
    redis.call('ZREM', ALIVE, id)
    redis.call('HDEL', ENTRIES, id)
    if redis.call('HGET', HEAD, 'id') == id then redis.call('DEL', HEAD) end
    changed = true
end

-- Takes out what wasn't renewed, what has waited for too long, and what is left of a queue that lost a key.
local function sweep()
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', ALIVE, '-inf', now, 'LIMIT', 0, 1000)) do drop(id) end
    local at = 0
    while at < 2 do
        local id = redis.call('LINDEX', ORDER, at)
        if not id then break end
        local who, entered = entry(id)
        local syncs = redis.call('HGET', HEAD, 'id') == id
        if not who or not is_alive(id) or (not syncs and tonumber(entered) < now - STALE) then
            drop(id)
        else
            at = at + 1
        end
    end
    local first = redis.call('LINDEX', ORDER, 0)
    if not first then
        redis.call('DEL', ENTRIES, ALIVE, WAITING, HEAD)
    elseif redis.call('HGET', HEAD, 'id') ~= first then
        redis.call('DEL', HEAD)
    end
end

local function place(files)
    local position = redis.call('LPOS', ORDER, ID)
    local who, entered, before, about = entry(ID)
    if not position or not who then
        -- A queue that lost a key may have the rest of it.
        if position or is_alive(ID) then drop(ID) end
        return { 'gone' }
    end
    local head_until = tonumber(is_alive(redis.call('LINDEX', ORDER, 0))) or now
    renew()
    if before ~= files then
        redis.call('HSET', ENTRIES, ID, table.concat({ who, entered, files, about }, ' '))
        changed = true
    end
    if position > 0 then return { 'waiting', whole(position), whole(math.max(0, head_until - now)) } end
    local token = redis.call('HGET', HEAD, 'token')
    if not token then
        -- Above all that were given, also when the server has forgotten them: they begin at the microsecond of today.
        local last = tonumber(redis.call('GET', TOKEN)) or 0
        token = whole(math.max(last + 1, FLOOR + 1, time[1] * 1000000 + time[2]))
        redis.call('SET', TOKEN, token, 'PX', TOKEN_KEPT_MS)
        redis.call('HSET', HEAD, 'id', ID, 'token', token)
        waits_no_more(ID, who)
        changed = true
    end
    return { 'head', token }
end

local does = {}

function does.enqueue()
    local files, most, who, about = ARGV[7], tonumber(ARGV[8]), ARGV[9], ARGV[10]
    if not is_alive(ID) then
        -- Owners have one batch waiting for each root. Another one was forgotten.
        local forgotten = redis.call('HGET', WAITING, who)
        if forgotten then drop(forgotten) end
        if redis.call('LLEN', ORDER) >= most then return { 'full' } end
        redis.call('RPUSH', ORDER, ID)
        redis.call('HSET', ENTRIES, ID, table.concat({ who, whole(now), files, about }, ' '))
        redis.call('HSET', WAITING, who, ID)
        changed = true
    end
    return place(files)
end

function does.claim()
    return place(ARGV[7])
end

local function is_head(token)
    return redis.call('HGET', HEAD, 'id') == ID and redis.call('HGET', HEAD, 'token') == token
end

function does.renew()
    if not is_head(ARGV[7]) then return { 'no' } end
    renew()
    local who = entry(ID)
    local own = who and redis.call('HEXISTS', WAITING, who) or 0
    return { redis.call('HLEN', WAITING) > own and 'awaited' or 'held' }
end

function does.endslice()
    local files, token = ARGV[7], ARGV[8]
    if is_head(token) then
        local who, _, _, about = entry(ID)
        -- What its owner has waiting for this root covers it, and goes to the end in its place.
        local last = who and redis.call('HGET', WAITING, who)
        local _, _, covered, other = entry(last or '')
        if covered then
            redis.call('HSET', ENTRIES, last, table.concat({ who, whole(now), covered, other }, ' '))
            redis.call('LREM', ORDER, 0, last)
            redis.call('RPUSH', ORDER, last)
            drop(ID)
        elseif who then
            redis.call('HSET', ENTRIES, ID, table.concat({ who, whole(now), files, about }, ' '))
            redis.call('HSET', WAITING, who, ID)
            redis.call('LREM', ORDER, 0, ID)
            redis.call('RPUSH', ORDER, ID)
            redis.call('DEL', HEAD)
        end
        changed = true
    end
    return place(files)
end

function does.leave()
    if not is_alive(ID) then return { 'no' } end
    drop(ID)
    return { 'yes' }
end

function does.clear()
    changed = redis.call('DEL', ORDER, ENTRIES, ALIVE, WAITING, HEAD) > 0
    return { 'yes' }
end

-- Four fields for each batch: about, number of files, token, ms until it leaves.
function does.list()
    local shown = {}
    local syncs, token = redis.call('HGET', HEAD, 'id'), redis.call('HGET', HEAD, 'token')
    for _, id in ipairs(redis.call('LRANGE', ORDER, 0, -1)) do
        local who, _, files, about = entry(id)
        local alive = is_alive(id)
        if who and alive then
            for _, field in ipairs({ about, files, syncs == id and token or '', whole(alive - now) }) do
                shown[#shown + 1] = field
            end
        end
    end
    return shown
end

sweep()
local answer = does[DO]()
if changed then
    for _, key in ipairs({ ORDER, ENTRIES, ALIVE, WAITING, HEAD }) do redis.call('PEXPIRE', key, KEPT_MS) end
    redis.call('PUBLISH', CHANNEL, redis.call('LINDEX', ORDER, 0) or '')
end
return answer
