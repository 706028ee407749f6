--- The state of the current file's codebase, short enough for a status line. `b:syncline_status` has it: a status line
--- is drawn with each key that is typed, and what asks Lua then costs as much as all that Neovim sends to language clients.

local client_of = require('syncline.client')
local config = require('syncline.config')
local states = require('syncline.states')
local wording = require('syncline.wording')

local M = {}

--- Drawing all status lines is work that a person who types may feel, so it is done at most this often.
M.REDRAW_MS = 250

--- What there is to say about a buffer: nothing where it has no codebase.
---@param bufnr? integer
---@return syncline.Words?, syncline.State?
function M.words(bufnr)
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

---@param bufnr integer
---@return string
local function text_of(bufnr)
  local words = M.words(bufnr)
  if not words then
    return ''
  end
  return config.get().signs[words.sign] .. (words.short ~= '' and ' ' .. words.short or '')
end

--- What status lines show, by buffer. Empty where none shows anything, which costs nothing then.
---@type table<integer, string>
local shown = {}

--- Texts that still hold, by buffer. Neovim asks for the text with each key that is typed.
---@type table<integer, string>
local kept = {}
--- What those texts were made from.
local kept_options, kept_changes

--- For 'statusline': a sign, and a word when something is to be said. `%` is doubled, as that option wants it.
---@param bufnr? integer
---@return string
function M.text(bufnr)
  bufnr = bufnr or vim.api.nvim_get_current_buf()
  if kept_options ~= config.get() or kept_changes ~= states.changes() then
    kept, kept_options, kept_changes = {}, config.get(), states.changes()
  end
  local text = kept[bufnr]
  if not text then
    text = text_of(bufnr):gsub('%%', '%%%%')
    -- Where there is none yet, nothing may show that there is one.
    kept[bufnr] = text ~= '' and text or nil
  end
  shown[bufnr] = text
  return text
end

--- When the status lines were drawn for a new text, `uv.now()`, and whether they will be checked again.
local drawn_at, waits = 0, false

--- Writes a buffer's variable; gives whether it is another text now.
---@param bufnr integer
---@return boolean
local function note(bufnr)
  local text = text_of(bufnr)
  local is_new = text ~= (vim.b[bufnr].syncline_status or '')
  if is_new then
    vim.b[bufnr].syncline_status = text
  end
  return is_new
end

--- Notes the texts of the buffers in windows, and draws the status lines if one of them is to show something else.
function M.draw()
  local is_new = false
  for _, window in ipairs(vim.api.nvim_list_wins()) do
    is_new = note(vim.api.nvim_win_get_buf(window)) or is_new
  end
  for bufnr, text in pairs(shown) do
    is_new = is_new or (vim.api.nvim_buf_is_valid(bufnr) and text_of(bufnr):gsub('%%', '%%%%') ~= text)
  end
  if is_new then
    drawn_at = vim.uv.now()
    -- Those that are still there say so while they are drawn.
    shown = {}
    vim.cmd.redrawstatus({ bang = true })
  end
end

local group = vim.api.nvim_create_augroup('syncline-statusline', {})
vim.api.nvim_create_autocmd({ 'LspAttach', 'LspDetach', 'BufFilePost', 'BufWinEnter', 'BufWipeout' }, {
  group = group,
  callback = function(event)
    kept[event.buf] = nil
    -- A client that goes is there until the event is over.
    vim.schedule(function()
      if vim.api.nvim_buf_is_valid(event.buf) then
        note(event.buf)
      end
    end)
  end,
})
vim.api.nvim_create_autocmd('User', {
  pattern = 'SynclineState',
  group = group,
  callback = function()
    local rest = drawn_at + M.REDRAW_MS - vim.uv.now()
    if rest <= 0 then
      M.draw()
    elseif not waits then
      waits = true
      vim.defer_fn(function()
        waits = false
        M.draw()
      end, rest)
    end
  end,
})

return M
