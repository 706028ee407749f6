--- The queue in a floating window: live, with keys that act on it.

local client_of = require('syncline.client')
local config = require('syncline.config')
local states = require('syncline.states')
local wording = require('syncline.wording')

local M = {}

--- Ages are drawn anew this often.
local REFRESH_MS = 1000
local MAX_WIDTH = 84

local namespace = vim.api.nvim_create_namespace('syncline-queue')

---@class syncline.QueueWindow
---@field bufnr integer
---@field window integer
---@field timer uv.uv_timer_t
---@field group integer
---@field owners table<integer, { client: vim.lsp.Client, state?: syncline.State }> By row: whose it is

---@type syncline.QueueWindow?
local current

--- Text and highlights of all rows, gathered.
---@class syncline.Page
local Page = {}
Page.__index = Page

function Page.new()
  return setmetatable({ texts = {}, marks = {}, owners = {} }, Page)
end

--- Adds a row of parts, each a text with an optional highlight.
function Page:row(owner, ...)
  local text = ''
  for _, part in ipairs({ ... }) do
    if part[2] then
      table.insert(self.marks, { #self.texts, #text, #text + #part[1], part[2] })
    end
    text = text .. part[1]
  end
  table.insert(self.texts, text)
  self.owners[#self.texts] = owner
end

local function pad(text, width)
  return text .. (' '):rep(width - vim.fn.strdisplaywidth(text))
end

--- Cuts a sentence into rows of whole words.
local function wrapped(text, width)
  local rows, row = {}, ''
  for word in text:gmatch('%S+') do
    if row ~= '' and vim.fn.strdisplaywidth(row .. ' ' .. word) > width then
      rows[#rows + 1] = row
      row = word
    else
      row = row == '' and word or row .. ' ' .. word
    end
  end
  rows[#rows + 1] = row
  return rows
end

local LABEL = 11

---@param page table
---@param owner table
---@param state syncline.State
---@param width integer
local function add_codebase(page, owner, state, width)
  local words = wording.state(state)
  local sign = config.get().signs[words.sign]
  local root = wording.path(vim.uri_to_fname(state.codebase.root))
  page:row(owner, { ' ' }, { sign, words.highlight }, { ' ' }, { state.codebase.name, 'SynclineTitle' }, { '  ' }, {
    root,
    'SynclineHint',
  })
  local function fact(label, ...)
    page:row(owner, { '   ' }, { pad(label, LABEL), 'SynclineHint' }, ...)
  end
  local function sentence(label, text, highlight)
    for index, row in ipairs(wrapped(text, width - LABEL - 4)) do
      fact(index == 1 and label or '', { row, highlight })
    end
  end
  fact('state', { words.long, words.highlight })
  if state.message then
    sentence('why', state.message, state.health == 'error' and 'SynclineError' or 'SynclineWarn')
  end
  fact('index', { ('%s, generation %s'):format(wording.index(state.index), wording.number(state.index.generation)) })
  if state.index.pending > 0 then
    fact('newer', { ('%s; searches read them'):format(wording.count(state.index.pending, 'file')) })
  end
  if state.lastSync then
    local last = state.lastSync
    local highlight = last.outcome == 'failed' and 'SynclineError' or nil
    sentence('last', ('%s, %s ago'):format(wording.outcome(last), wording.age(last.finishedAt)), highlight)
  end
  fact('queue', { state.backend == 'redis' and 'in Redis' or 'on this machine' }, {
    #state.queue == 0 and ', empty' or '',
  })
  if #state.queue > 0 then
    page:row(owner, { '   ' }, { pad('', LABEL) .. '     files       owner                  since', 'SynclineHint' })
    for index, batch in ipairs(state.queue) do
      local who = batch.owner.self and 'this editor' or ('%s, %d'):format(batch.owner.host, batch.owner.pid)
      local busy = batch.state == 'syncing'
      page:row(
        owner,
        { '   ' .. (' '):rep(LABEL) },
        { config.get().signs[busy and 'busy' or 'waiting'], busy and 'SynclineBusy' or 'SynclineHint' },
        { (' %2d '):format(index) .. pad(wording.files(batch.files), 12) .. pad(who, 23) },
        { wording.age(batch.createdAt) }
      )
    end
  end
end

local KEYS = {
  { 's', 'sync' },
  { 'p', 'pause' },
  { 'R', 'rebuild' },
  { '/', 'search' },
  { 'l', 'log' },
  { 'q', 'close' },
}

local function page_of_now(width)
  local page = Page.new()
  local clients = client_of.clients()
  for _, client in ipairs(clients) do
    if #page.texts > 0 then
      page:row(nil, { '' })
    end
    local list = states.of(client.id)
    for index, state in ipairs(list) do
      if index > 1 then
        page:row(nil, { '' })
      end
      add_codebase(page, { client = client, state = state }, state, width)
    end
    if #list == 0 then
      local words = wording.state(nil)
      page:row({ client = client }, { ' ' .. config.get().signs.busy .. ' ', words.highlight }, {
        client_of.label(client),
        'SynclineTitle',
      }, { '  ' .. words.long })
    end
  end
  for root, reason in vim.spairs(client_of.blocked()) do
    if #page.texts > 0 then
      page:row(nil, { '' })
    end
    page:row(nil, { ' ' .. config.get().signs.error .. ' ', 'SynclineError' }, {
      vim.fs.basename(root),
      'SynclineTitle',
    })
    for _, row in ipairs(wrapped(reason .. '; see :checkhealth syncline, then :Syncline restart', width - 4)) do
      page:row(nil, { '   ' .. row, 'SynclineError' })
    end
  end
  if #page.texts == 0 then
    local lsp_config = client_of.lsp_config()
    local missing = client_of.missing_program(lsp_config.cmd)
    page:row(nil, { '' })
    page:row(nil, { '  No codebase is open.' })
    if missing then
      page:row(
        nil,
        { ('  The program `%s` can’t be found; see :checkhealth syncline.'):format(missing), 'SynclineError' }
      )
    else
      local markers = table.concat(lsp_config.root_markers or {}, ', ')
      page:row(nil, { ('  Open a file below a folder that holds one of %s.'):format(markers), 'SynclineHint' })
    end
    page:row(nil, { '' })
  end
  return page
end

local function window_size(page)
  local width = 56
  for _, text in ipairs(page.texts) do
    width = math.max(width, vim.fn.strdisplaywidth(text) + 2)
  end
  width = math.min(width, MAX_WIDTH, vim.o.columns - 4)
  local height = math.max(1, math.min(#page.texts, vim.o.lines - vim.o.cmdheight - 4))
  return width, height
end

local function window_config(page)
  local width, height = window_size(page)
  local footer = {}
  for _, key in ipairs(KEYS) do
    vim.list_extend(footer, { { ' ' .. key[1], 'SynclineKey' }, { ' ' .. key[2] .. ' ', 'SynclineHint' } })
  end
  return {
    relative = 'editor',
    style = 'minimal',
    border = config.border(),
    width = width,
    height = height,
    row = math.max(0, math.floor((vim.o.lines - height) / 2) - 2),
    col = math.max(0, math.floor((vim.o.columns - width) / 2) - 1),
    zindex = 60,
    title = { { ' Queue ', 'SynclineTitle' } },
    title_pos = 'left',
    footer = footer,
    footer_pos = 'left',
  }
end

local function draw()
  local page = page_of_now(math.min(MAX_WIDTH, vim.o.columns - 4))
  current.owners = page.owners
  vim.bo[current.bufnr].modifiable = true
  vim.api.nvim_buf_set_lines(current.bufnr, 0, -1, false, page.texts)
  vim.bo[current.bufnr].modifiable = false
  vim.api.nvim_buf_clear_namespace(current.bufnr, namespace, 0, -1)
  for _, mark in ipairs(page.marks) do
    vim.api.nvim_buf_set_extmark(current.bufnr, namespace, mark[1], mark[2], { end_col = mark[3], hl_group = mark[4] })
  end
  vim.api.nvim_win_set_config(current.window, window_config(page))
end

--- Closes the window, if it is open.
function M.close()
  if not current then
    return
  end
  local closing = current
  current = nil
  closing.timer:close()
  vim.api.nvim_del_augroup_by_id(closing.group)
  if vim.api.nvim_win_is_valid(closing.window) then
    vim.api.nvim_win_close(closing.window, true)
  end
end

--- Whose the row under the cursor is; the nearest above, or else the first.
local function owner_here()
  for row = vim.api.nvim_win_get_cursor(current.window)[1], 1, -1 do
    if current.owners[row] then
      return current.owners[row]
    end
  end
  local client = client_of.clients()[1]
  return client and { client = client, state = states.of(client.id)[1] } or nil
end

local actions = {
  s = function(owner)
    require('syncline.commands').act(owner.client, 'sync', owner.state)
  end,
  p = function(owner)
    local paused = owner.state and owner.state.phase == 'paused'
    require('syncline.commands').act(owner.client, paused and 'resume' or 'pause', owner.state)
  end,
  R = function(owner)
    require('syncline.commands').rebuild(owner.client, owner.state)
  end,
  ['/'] = function(owner)
    M.close()
    require('syncline.picker').start('search', owner.client, require('syncline.search').query(''))
  end,
}

--- Opens the window; or goes there, when it is open.
function M.open()
  if current and vim.api.nvim_win_is_valid(current.window) then
    vim.api.nvim_set_current_win(current.window)
    return
  end
  M.close()
  local page = page_of_now(math.min(MAX_WIDTH, vim.o.columns - 4))
  local bufnr = vim.api.nvim_create_buf(false, true)
  vim.bo[bufnr].bufhidden = 'wipe'
  vim.bo[bufnr].filetype = 'syncline-queue'
  local window = vim.api.nvim_open_win(bufnr, true, window_config(page))
  vim.wo[window].winhighlight = require('syncline.highlights').WINDOW
  vim.wo[window].wrap = false
  current = {
    bufnr = bufnr,
    window = window,
    owners = {},
    timer = assert(vim.uv.new_timer()),
    group = vim.api.nvim_create_augroup('syncline-queue', {}),
  }
  local function refresh()
    if current and vim.api.nvim_win_is_valid(current.window) then
      draw()
    end
  end
  draw()
  current.timer:start(REFRESH_MS, REFRESH_MS, vim.schedule_wrap(refresh))
  vim.api.nvim_create_autocmd('User', { group = current.group, pattern = 'SynclineState', callback = refresh })
  vim.api.nvim_create_autocmd('VimResized', { group = current.group, callback = refresh })
  vim.api.nvim_create_autocmd({ 'WinLeave', 'BufWipeout' }, {
    group = current.group,
    buffer = bufnr,
    callback = vim.schedule_wrap(function()
      -- Another may have been opened meanwhile.
      if current and current.bufnr == bufnr then
        M.close()
      end
    end),
  })
  local function map(key, action)
    vim.keymap.set('n', key, action, { buffer = bufnr, nowait = true })
  end
  for key, action in pairs(actions) do
    map(key, function()
      local owner = owner_here()
      if owner then
        action(owner)
      end
    end)
  end
  map('l', function()
    M.close()
    require('syncline.log').show()
  end)
  map('q', M.close)
  map('<Esc>', M.close)
end

return M
