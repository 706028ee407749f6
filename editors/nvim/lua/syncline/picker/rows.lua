--- What the picker's list shows: items become rows of text with highlights.

local wording = require('syncline.wording')

local M = {}

---@class syncline.Row
---@field text string
---@field marks { [1]: integer, [2]: integer, [3]: string }[] Column, end column, highlight group
---@field item? syncline.Item The row can be chosen if it has one

local INDENT = '  '
--- How much of a line before a match is shown when the line is too long, as a share of the room.
local CONTEXT_SHARE = 0.3

--- The largest byte column at or before `column` where a character begins.
---@param text string
---@param column integer
---@return integer
local function character_start(text, column)
  if column <= 0 or column >= #text then
    return math.max(0, math.min(column, #text))
  end
  return column + vim.str_utf_start(text, column + 1)
end

--- A line cut to what fits, and by how many bytes its columns have moved.
---@param text string
---@param column integer Must be seen
---@param room integer Cells
---@return string, integer
local function fit(text, column, room)
  local start = math.min(#text:match('^%s*'), column)
  local prefix = ''
  if column - start > room * (1 - CONTEXT_SHARE) then
    start = character_start(text, column - math.floor(room * CONTEXT_SHARE))
    prefix = '…'
  end
  -- A cell takes at least one byte, seldom more than four.
  local shown = text:sub(start + 1, character_start(text, start + 4 * room))
  -- Tabs and what can't be shown take one cell, so that columns stay what they are.
  return prefix .. shown:gsub('%c', ' '), #prefix - start
end

---@class syncline.TextRows
---@field rows syncline.Row[]
---@field matches integer
---@field files integer
---@field private room integer
---@field private root string
---@field private path? string
local TextRows = {}
TextRows.__index = TextRows

--- Rows of matches, grouped by file.
---@param root string What paths are shown relative to
---@param width integer Cells
---@return syncline.TextRows
function M.of_text(root, width)
  return setmetatable({ rows = {}, matches = 0, files = 0, root = root, room = width - 9 }, TextRows)
end

---@param path string
---@param root string
---@return string
function M.relative(path, root)
  if root ~= '' and vim.startswith(path, root .. '/') then
    return path:sub(#root + 2)
  end
  return wording.path(path)
end

--- Adds matches, which come in path order.
---@param items syncline.Item[]
---@return integer first The first row that is new or changed
function TextRows:add(items)
  local first = #self.rows + 1
  for _, item in ipairs(items) do
    if item.path ~= self.path then
      self.path = item.path
      self.files = self.files + 1
      local name = M.relative(item.path, self.root)
      table.insert(self.rows, { text = ' ' .. name, marks = { { 1, 1 + #name, 'SynclinePath' } } })
    end
    self.matches = self.matches + 1
    local last = self.rows[#self.rows]
    if last.item and last.item.lnum == item.lnum then
      -- Another match in the same line.
      first = math.min(first, #self.rows)
    else
      local number = INDENT .. ('%5d  '):format(item.lnum)
      local shown, moved = fit(item.text, item.col, self.room)
      last = { text = number .. shown, marks = { { 0, #number, 'SynclineLineNr' } }, item = item }
      last.moved = #number + moved
      table.insert(self.rows, last)
    end
    local from = math.max(item.col + last.moved, 0)
    local to = math.min(item.end_col + last.moved, #last.text)
    if from < to then
      table.insert(last.marks, { from, to, 'SynclineMatch' })
    end
  end
  return first
end

--- What was found, in words.
---@param more boolean Whether there are more
---@return string
function TextRows:summary(more)
  local plus = more and '+' or ''
  return ('%s%s in %s'):format(
    wording.count(self.matches, 'match', 'matches'):gsub(' ', plus .. ' ', 1),
    '',
    wording.count(self.files, 'file')
  )
end

---@class syncline.SymbolRows
---@field rows syncline.Row[]
---@field private root string
local SymbolRows = {}
SymbolRows.__index = SymbolRows

--- Widest columns, in cells.
local NAME_WIDTH, CONTAINER_WIDTH = 32, 16

local function cell(text, width)
  local shown = vim.fn.strcharpart(text, 0, width)
  return shown .. (' '):rep(width - vim.fn.strdisplaywidth(shown))
end

--- Rows of definitions, in columns.
---@param root string
---@param _ integer
---@return syncline.SymbolRows
function M.of_symbols(root, _)
  return setmetatable({ rows = {}, root = root }, SymbolRows)
end

---@param items syncline.Item[]
---@return integer first
function SymbolRows:add(items)
  local first = #self.rows + 1
  local kind_width, name_width, container_width = 4, 8, 0
  for _, item in ipairs(items) do
    kind_width = math.max(kind_width, #(item.kind or ''))
    name_width = math.max(name_width, math.min(NAME_WIDTH, vim.fn.strdisplaywidth(item.text)))
    container_width = math.max(container_width, math.min(CONTAINER_WIDTH, vim.fn.strdisplaywidth(item.container or '')))
  end
  for _, item in ipairs(items) do
    local row = { text = INDENT, marks = {}, item = item }
    local function put(text, highlight)
      if highlight then
        table.insert(row.marks, { #row.text, #row.text + #text, highlight })
      end
      row.text = row.text .. text .. INDENT
    end
    put(cell(item.kind or '', kind_width), 'SynclineKind')
    put(cell(item.text, name_width))
    if container_width > 0 then
      put(cell(item.container or '', container_width), 'SynclineHint')
    end
    put(('%s:%d'):format(M.relative(item.path, self.root), item.lnum), 'SynclinePath')
    table.insert(self.rows, row)
  end
  return first
end

---@param more boolean
---@return string
function SymbolRows:summary(more)
  return (wording.count(#self.rows, 'definition'):gsub(' ', (more and '+' or '') .. ' ', 1))
end

return M
