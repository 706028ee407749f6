--- The state of the current file's codebase, short enough for a status line.

local client_of = require('syncline.client')
local config = require('syncline.config')
local states = require('syncline.states')
local wording = require('syncline.wording')

local M = {}

--- What there is to say about a buffer: nothing where it has no codebase.
---@param bufnr? integer
---@return syncline.Words?, syncline.State?
function M.words(bufnr)
  states.shown = true
  bufnr = bufnr or vim.api.nvim_get_current_buf()
  local client = client_of.clients({ bufnr = bufnr })[1]
  if client then
    local state = states.at(client.id, vim.api.nvim_buf_get_name(bufnr))
    return wording.state(state), state
  end
  for root, reason in pairs(client_of.blocked()) do
    if vim.startswith(vim.api.nvim_buf_get_name(bufnr), root .. '/') then
      return { sign = 'off', highlight = 'SynclineError', short = 'off', long = reason }
    end
  end
end

--- For 'statusline': a sign, and a word when something is to be said. `%` is doubled, as that option wants it.
---@param bufnr? integer
---@return string
function M.text(bufnr)
  local words = M.words(bufnr)
  if not words then
    return ''
  end
  local text = config.get().signs[words.sign] .. (words.short ~= '' and ' ' .. words.short or '')
  return (text:gsub('%%', '%%%%'))
end

return M
