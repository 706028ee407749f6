--- How things are said to people: numbers, sizes, ages, and a state in a few words.

local M = {}

--- 78258 → `78,258`.
---@param number integer
---@return string
function M.number(number)
  local digits = tostring(math.floor(number))
  return (digits:reverse():gsub('(%d%d%d)', '%1,'):reverse():gsub('^,', ''))
end

--- A number with its noun: `1 file`, `1,200 files`. `plural` where an s doesn't make it.
---@param number integer
---@param noun string
---@param plural? string
---@return string
function M.count(number, noun, plural)
  return ('%s %s'):format(M.number(number), number == 1 and noun or plural or noun .. 's')
end

---@param files integer|'all'
---@return string
function M.files(files)
  return type(files) == 'number' and M.count(files, 'file') or 'all files'
end

--- 145000000 → `145 MB`.
---@param bytes integer
---@return string
function M.bytes(bytes)
  for _, unit in ipairs({ { 1e9, 'GB' }, { 1e6, 'MB' }, { 1e3, 'kB' } }) do
    if bytes >= unit[1] then
      local amount = bytes / unit[1]
      return (amount < 10 and '%.1f %s' or '%.0f %s'):format(amount, unit[2])
    end
  end
  return bytes .. ' B'
end

--- A stretch of time, in the unit that fits.
---@param milliseconds number
---@return string
function M.duration(milliseconds)
  if milliseconds < 1000 then
    return ('%d ms'):format(milliseconds)
  end
  local seconds = math.floor(milliseconds / 1000)
  if seconds < 60 then
    return seconds .. ' s'
  elseif seconds < 3600 then
    return math.floor(seconds / 60) .. ' min'
  elseif seconds < 86400 then
    return math.floor(seconds / 3600) .. ' h'
  end
  return M.count(math.floor(seconds / 86400), 'day')
end

--- How long ago a moment was. Clocks of other hosts may differ, so none is in the future.
---@param unix_ms integer
---@return string
function M.age(unix_ms)
  local seconds, microseconds = vim.uv.gettimeofday()
  return M.duration(math.max(0, seconds * 1000 + math.floor(microseconds / 1000) - unix_ms))
end

--- A path for people: with `~`.
---@param path string
---@return string
function M.path(path)
  return vim.fn.fnamemodify(path, ':~')
end

local STAGES = { scan = 'comparing the tree', text = 'indexing', symbols = 'finding symbols' }

---@param progress? { done: integer, total: integer, stage: string }
---@return string?
local function percent(progress)
  if progress and progress.total > 0 then
    return ('%d%%'):format(math.min(100, math.floor(progress.done * 100 / progress.total)))
  end
end

---@class syncline.Words
---@field sign string Name of the sign in the options
---@field highlight string
---@field short string For a status line; empty when all is well
---@field long string

--- A state in words. Health goes first: what is wrong must not hide behind what is busy.
---@param state? syncline.State
---@return syncline.Words
function M.state(state)
  if not state then
    return { sign = 'busy', highlight = 'SynclineBusy', short = 'starting', long = 'starting' }
  elseif state.health == 'error' then
    return { sign = 'error', highlight = 'SynclineError', short = 'error', long = 'something doesn’t work' }
  elseif state.health == 'degraded' and state.phase == 'idle' then
    return { sign = 'degraded', highlight = 'SynclineWarn', short = 'degraded', long = 'works, but not at its best' }
  elseif state.phase == 'paused' then
    return { sign = 'paused', highlight = 'SynclinePaused', short = 'paused', long = 'paused; answers stay right' }
  elseif state.phase == 'waiting' then
    local position = type(state.position) == 'number' and state.position or 0
    local long = 'waiting to sync'
    if position > 0 then
      long = ('waiting, %s ahead'):format(M.count(position, 'batch', 'batches'))
    end
    return {
      sign = 'waiting',
      highlight = 'SynclineBusy',
      short = position > 0 and ('%d ahead'):format(position) or 'waiting',
      long = long,
    }
  elseif state.phase == 'syncing' then
    local share = percent(state.progress)
    local doing = STAGES[state.progress and state.progress.stage] or 'syncing'
    local long = doing
    if share then
      long = ('%s, %s of %s files'):format(doing, M.number(state.progress.done), M.number(state.progress.total))
    end
    return { sign = 'busy', highlight = 'SynclineBusy', short = share or 'syncing', long = long }
  end
  local pending = state.index.pending
  if not state.index.fresh and pending > 0 then
    local long = ('%s newer than the index'):format(M.count(pending, 'file'))
    return { sign = 'ok', highlight = 'SynclineOk', short = '', long = long }
  end
  return { sign = 'ok', highlight = 'SynclineOk', short = '', long = 'up to date' }
end

--- How a batch ended.
---@param last syncline.LastSync
---@return string
function M.outcome(last)
  if last.outcome == 'synced' then
    return ('synced %s in %s'):format(M.count(last.files, 'file'), M.duration(last.durationMs))
  elseif last.outcome == 'superseded' then
    return 'left the queue without syncing; its changes come with the next batch'
  end
  return 'failed: ' .. (last.error or 'no reason was given')
end

--- What an index holds.
---@param index table
---@return string
function M.index(index)
  local parts = { M.count(index.files, 'file') }
  if index.symbols > 0 then
    parts[#parts + 1] = M.count(index.symbols, 'symbol')
  end
  parts[#parts + 1] = M.bytes(index.bytes)
  return table.concat(parts, ', ')
end

return M
