--- The picker's keys: which there are, as the options say, and how they are shown to people.

local config = require('syncline.config')

local M = {}

--- What means something only where a source has filters.
local FILTER_ACTIONS = { toggle_regex = true, toggle_case = true, toggle_word = true, globs = true }

--- What the keys do, in the order in which they are needed.
local HELP = {
  { 'open', 'open' },
  { 'split', 'in a split' },
  { 'vsplit', 'in a vertical split' },
  { 'tab', 'in a tab' },
  { 'quickfix', 'all to quickfix' },
  { 'next', 'next' },
  { 'previous', 'previous' },
  { 'page_down', 'half a page down' },
  { 'page_up', 'half a page up' },
  { 'toggle_regex', 'regex or plain text' },
  { 'toggle_case', 'smart case, case, none' },
  { 'toggle_word', 'whole words' },
  { 'globs', 'pattern or files' },
  { 'toggle_preview', 'preview on or off' },
  { 'preview_down', 'preview down' },
  { 'preview_up', 'preview up' },
  { 'close', 'close; <Esc><Esc> too' },
}
local HELP_KEY, HELP_CELL = 14, 40

--- The keys of an action; none where it means nothing, or the options take them away.
---@param action string
---@param has_filters boolean
---@return string[]
function M.of(action, has_filters)
  local keys = config.get().picker.keys[action]
  if not keys or (FILTER_ACTIONS[action] and not has_filters) then
    return {}
  end
  return type(keys) == 'table' and keys or { keys }
end

--- A key as people read it; the first of several, empty where there is none.
---@param action string
---@return string
function M.name(action)
  return M.of(action, true)[1] or ''
end

--- The keys and what they do, in as many columns as there is room for.
---@param width integer
---@param has_filters boolean
---@return syncline.Row[]
function M.help(width, has_filters)
  local shown = {}
  for _, entry in ipairs(HELP) do
    local keys = M.of(entry[1], has_filters)
    if #keys > 0 then
      shown[#shown + 1] = { table.concat(keys, ' '), entry[2] }
    end
  end
  local columns = math.max(1, math.floor(width / HELP_CELL))
  local height = math.ceil(#shown / columns)
  local rows = {}
  for row = 1, height do
    local text, marks = '', {}
    for column = 1, columns do
      local entry = shown[(column - 1) * height + row]
      if entry then
        text = text .. (' '):rep((column - 1) * HELP_CELL + 2 - #text)
        table.insert(marks, { #text, #text + #entry[1], 'SynclineKey' })
        text = text .. entry[1] .. (' '):rep(math.max(1, HELP_KEY - #entry[1]))
        table.insert(marks, { #text, #text + #entry[2], 'SynclineHint' })
        text = text .. entry[2]
      end
    end
    rows[row] = { text = text, marks = marks }
  end
  return rows
end

return M
