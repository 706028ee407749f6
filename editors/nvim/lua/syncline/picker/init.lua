--- A live picker in plain Neovim: what is typed is searched for, what is found streams in.

local client_of = require('syncline.client')
local config = require('syncline.config')
local highlights = require('syncline.highlights')
local keys = require('syncline.picker.keys')
local layout = require('syncline.picker.layout')
local preview = require('syncline.picker.preview')
local rows_of = require('syncline.picker.rows')
local search = require('syncline.search')
local states = require('syncline.states')
local symbols = require('syncline.symbols')
local wording = require('syncline.wording')

local M = {}

--- From the last key to the search.
local DEBOUNCE_MS = 40
--- From the last move to the preview.
local PREVIEW_MS = 30

local namespace = vim.api.nvim_create_namespace('syncline-picker')
local cursor_namespace = vim.api.nvim_create_namespace('syncline-picker-cursor')

---@class syncline.Source What a picker searches.
---@field title string
---@field run fun(client: vim.lsp.Client, query: syncline.Query, sink: syncline.Sink): fun()
---@field rows fun(root: string, width: integer): table
---@field to_quickfix fun(client: vim.lsp.Client, query: syncline.Query)
---@field known fun(state: syncline.State): integer? With what else is found, where that comes after the index is fresh
---@field has_filters boolean Whether regex, case, words and globs mean something

---@type table<string, syncline.Source>
M.sources = {
  search = {
    title = 'Search',
    run = search.run,
    rows = rows_of.of_text,
    to_quickfix = search.to_quickfix,
    known = function() end,
    has_filters = true,
  },
  symbols = {
    title = 'Symbols',
    run = symbols.run,
    rows = rows_of.of_symbols,
    to_quickfix = symbols.to_quickfix,
    known = function(state)
      return state.index.symbols
    end,
    has_filters = false,
  },
}

---@class syncline.Picker
---@field source syncline.Source
---@field client vim.lsp.Client
---@field query syncline.Query
---@field origin integer The window that it was opened from
---@field windows table<string, integer>
---@field buffers table<string, integer>
---@field content table What is shown: rows of a search
---@field ended? syncline.SearchEnd
---@field problem? string
---@field searching boolean
---@field known? integer What the source knew when the search began
---@field outdated boolean What is shown isn't of what is typed
---@field when_found? 'open'|'split'|'vsplit'|'tab' What is to be done with the first row of what is typed
---@field selected? integer Row
---@field show_preview boolean
---@field show_help boolean
---@field cancel? fun()
---@field closed boolean
local Picker = {}
Picker.__index = Picker

---@type syncline.Picker?
local current

local function root_of(client)
  return client.config.root_dir or ''
end

local function scratch(name)
  local bufnr = vim.api.nvim_create_buf(false, true)
  vim.bo[bufnr].bufhidden = 'wipe'
  vim.bo[bufnr].undolevels = name == 'prompt' and 100 or -1
  vim.bo[bufnr].filetype = 'syncline-' .. name
  return bufnr
end

--- Completion and pairs have nothing to do in a search.
local function leave_alone(bufnr)
  vim.b[bufnr].completion = false
  vim.b[bufnr].minipairs_disable = true
  local cmp = package.loaded['cmp']
  if type(cmp) == 'table' then
    pcall(vim.api.nvim_buf_call, bufnr, function()
      cmp.setup.buffer({ enabled = false })
    end)
  end
end

function Picker:window_config(name, box)
  return {
    relative = 'editor',
    style = 'minimal',
    border = config.border(),
    row = box.row,
    col = box.col,
    width = box.width,
    height = box.height,
    focusable = true,
    zindex = 60,
    title = name ~= 'list' and { { ' ', 'SynclineTitle' } } or nil,
    title_pos = name ~= 'list' and 'left' or nil,
  }
end

--- Opens the windows that fit, moves those that are open, closes those that don't fit any more.
function Picker:place()
  local boxes = layout.place(vim.o.columns, vim.o.lines - vim.o.cmdheight, {
    globs = self.source.has_filters,
    preview = self.show_preview,
  })
  for _, name in ipairs({ 'list', 'preview', 'globs', 'prompt' }) do
    local box, window = boxes[name], self.windows[name]
    if not box then
      if window then
        self.windows[name] = nil
        vim.api.nvim_win_close(window, true)
      end
    elseif window then
      vim.api.nvim_win_set_config(window, self:window_config(name, box))
    else
      local bufnr = self.buffers[name]
      if not bufnr or not vim.api.nvim_buf_is_valid(bufnr) then
        bufnr = scratch(name)
        self.buffers[name] = bufnr
        self:map_keys(name, bufnr)
      end
      window = vim.api.nvim_open_win(bufnr, name == 'prompt', self:window_config(name, box))
      self.windows[name] = window
      vim.wo[window].winhighlight = highlights.WINDOW
      vim.wo[window].wrap = false
      vim.wo[window].cursorline = name == 'list'
      vim.wo[window].scrolloff = name == 'list' and 2 or 0
      if name == 'preview' then
        preview.show(window, nil, 'Preview')
      end
    end
  end
end

--- Names the windows, and shows which filters are on.
function Picker:decorate()
  local name = client_of.label(self.client)
  local prompt = { title = { { (' %s in %s '):format(self.source.title, name), 'SynclineTitle' } }, title_pos = 'left' }
  if self.source.has_filters then
    local query, footer = self.query, {}
    local function toggle(word, on)
      footer[#footer + 1] = { (' %s '):format(word), on and 'SynclineToggle' or 'SynclineHint' }
    end
    local cases = { smart = 'case: smart', sensitive = 'case: counts', ignore = 'case: ignored' }
    toggle(query.regex and 'regex' or 'plain', query.regex)
    toggle(cases[query.case], query.case ~= 'smart')
    toggle(query.word and 'whole words' or 'words: any', query.word)
    prompt.footer, prompt.footer_pos = footer, 'right'
    vim.api.nvim_win_set_config(self.windows.globs, {
      title = { { ' Files ', 'SynclineTitle' } },
      title_pos = 'left',
    })
  end
  vim.api.nvim_win_set_config(self.windows.prompt, prompt)
  self:placeholder('prompt', 'type to search')
  if self.source.has_filters then
    self:placeholder('globs', 'all; src *.rs !tests')
  end
end

--- A hint in an empty field.
function Picker:placeholder(name, hint)
  local bufnr = self.buffers[name]
  vim.api.nvim_buf_clear_namespace(bufnr, namespace, 0, -1)
  if self:field(name) == '' then
    vim.api.nvim_buf_set_extmark(bufnr, namespace, 0, 0, {
      virt_text = { { hint, 'SynclineHint' } },
      virt_text_pos = 'overlay',
    })
  end
end

--- What is typed in a field. Of what was pasted with line breaks, one line.
---@param name 'prompt'|'globs'
---@return string
function Picker:field(name)
  return table.concat(vim.api.nvim_buf_get_lines(self.buffers[name], 0, -1, false), ' ')
end

--- Says how far the search is, below the list.
function Picker:footer()
  local parts = {}
  if self.problem then
    parts[#parts + 1] = { ' can’t search ', 'SynclineError' }
  elseif self.searching and #self.content.rows == 0 then
    parts[#parts + 1] = { ' searching… ', 'SynclineBusy' }
  elseif #self.content.rows > 0 then
    local more = self.ended and self.ended.limit_hit or false
    parts[#parts + 1] = { (' %s '):format(self.content:summary(more)), 'SynclineHint' }
  end
  local state = states.at(self.client.id)
  if state then
    local words = wording.state(state)
    if words.short ~= '' then
      parts[#parts + 1] = { (' index: %s '):format(words.long), words.highlight }
    end
  end
  if self.ended and not self.ended.fresh then
    parts[#parts + 1] = { ' may miss the latest changes ', 'SynclineWarn' }
  end
  if keys.name('help') ~= '' then
    parts[#parts + 1] = { (' %s: keys '):format(keys.name('help')), 'SynclineHint' }
  end
  if #parts == 0 then
    parts = { { '', 'SynclineHint' } }
  end
  vim.api.nvim_win_set_config(self.windows.list, { footer = parts, footer_pos = 'left' })
end

--- What the list shows when there are no rows.
---@return syncline.Row[]
function Picker:instead()
  local rows = {}
  local function say(text, highlight)
    rows[#rows + 1] = { text = '  ' .. text, marks = { { 2, 2 + #text, highlight or 'SynclineHint' } } }
  end
  say('')
  if self.show_help then
    vim.list_extend(rows, keys.help(vim.api.nvim_win_get_width(self.windows.list), self.source.has_filters))
  elseif self.problem then
    for index, line in ipairs(vim.split(self.problem, '\n', { trimempty = true })) do
      say(line, index == 1 and 'SynclineError' or 'SynclineHint')
    end
  elseif self.query.pattern == '' then
    local state = states.at(self.client.id)
    if state then
      say(('%s: %s'):format(state.codebase.name, wording.index(state.index)))
      local words = wording.state(state)
      say(words.long, words.highlight)
      if state.message then
        say(state.message, 'SynclineWarn')
      end
    end
    say('Unsaved text is found too.')
  elseif not self.searching and not self.outdated then
    say(('Nothing found for “%s”.'):format(self.query.pattern))
    local query = self.query
    local function hint(condition, text, name)
      if condition then
        say(('%-8s%s'):format(keys.name(name), text))
      end
    end
    if self.source.has_filters then
      local sensitive = search.is_case_sensitive(query)
      hint(sensitive, 'Upper and lower case count.', 'toggle_case')
      hint(query.word, 'Whole words only.', 'toggle_word')
      hint(query.regex, 'It is a regular expression.', 'toggle_regex')
      hint(#query.globs > 0, 'Only in ' .. table.concat(query.globs, ' ') .. '.', 'globs')
    end
  end
  return rows
end

--- Writes rows into the list, from one on.
---@param rows syncline.Row[]
---@param first integer
function Picker:draw(rows, first)
  local bufnr = self.buffers.list
  local texts = {}
  for index = first, #rows do
    texts[#texts + 1] = rows[index].text
  end
  vim.bo[bufnr].modifiable = true
  vim.api.nvim_buf_clear_namespace(bufnr, namespace, first - 1, -1)
  vim.api.nvim_buf_set_lines(bufnr, first - 1, -1, false, texts)
  vim.bo[bufnr].modifiable = false
  for index = first, #rows do
    for _, mark in ipairs(rows[index].marks) do
      vim.api.nvim_buf_set_extmark(bufnr, namespace, index - 1, mark[1], { end_col = mark[2], hl_group = mark[3] })
    end
  end
end

--- Shows what there is instead of rows.
function Picker:draw_instead()
  self.selected = nil
  self:draw(self:instead(), 1)
  vim.api.nvim_buf_clear_namespace(self.buffers.list, cursor_namespace, 0, -1)
  pcall(vim.api.nvim_win_set_cursor, self.windows.list, { 1, 0 })
  vim.wo[self.windows.list].cursorline = false
  self:preview_soon()
end

---@return syncline.Item?
function Picker:item()
  local row = self.selected and self.content.rows[self.selected]
  return row and row.item
end

--- Selects a row that can be chosen: the nearest in the direction, or else the other way.
---@param row integer
---@param direction 1|-1
function Picker:select(row, direction)
  local rows = self.content.rows
  if #rows == 0 then
    return
  end
  row = math.max(1, math.min(row, #rows))
  local at = row
  while rows[at] and not rows[at].item do
    at = at + direction
  end
  if not rows[at] then
    at = row
    while rows[at] and not rows[at].item do
      at = at - direction
    end
  end
  self.selected = at
  vim.wo[self.windows.list].cursorline = true
  vim.api.nvim_win_set_cursor(self.windows.list, { at, 0 })
  vim.api.nvim_buf_clear_namespace(self.buffers.list, cursor_namespace, 0, -1)
  vim.api.nvim_buf_set_extmark(self.buffers.list, cursor_namespace, at - 1, 0, {
    virt_text = { { '▌', 'SynclineKey' } },
    virt_text_pos = 'overlay',
  })
  self:preview_soon()
end

function Picker:move(by)
  if self.selected then
    self:select(self.selected + by, by > 0 and 1 or -1)
  end
end

function Picker:half_page()
  return math.max(1, math.floor(vim.api.nvim_win_get_height(self.windows.list) / 2))
end

function Picker:preview_soon()
  self.preview_timer:start(
    PREVIEW_MS,
    0,
    vim.schedule_wrap(function()
      if not self.closed and self.windows.preview then
        local item = self:item()
        local title = item and rows_of.relative(item.path, root_of(self.client)) or 'Preview'
        preview.show(self.windows.preview, item, title)
      end
    end)
  )
end

function Picker:scroll_preview(key)
  if self.windows.preview then
    vim.api.nvim_win_call(self.windows.preview, function()
      vim.cmd('normal! ' .. vim.keycode(key))
    end)
  end
end

--- Reads the fields, and searches if something differs.
function Picker:changed()
  local pattern = self:field('prompt')
  local globs = self.source.has_filters and search.globs(self:field('globs')) or {}
  if pattern == self.query.pattern and vim.deep_equal(globs, self.query.globs) then
    return
  end
  self.query.pattern, self.query.globs = pattern, globs
  self:search_soon()
end

--- Searches once typing pauses. What runs is outdated and ends now, so that it can't pass for what is typed.
function Picker:search_soon()
  self:stop_search()
  self.show_help = false
  self.outdated, self.when_found = true, nil
  self:decorate()
  self.search_timer:start(
    DEBOUNCE_MS,
    0,
    vim.schedule_wrap(function()
      if self:is_shown() then
        self:search()
      end
    end)
  )
end

function Picker:stop_search()
  if self.cancel then
    self.cancel()
    self.cancel = nil
  end
  self.searching = false
end

--- Whether there is something to draw in. WinClosed and its like come only after a window has closed.
function Picker:is_shown()
  return not self.closed and vim.api.nvim_win_is_valid(self.windows.list)
end

--- Searches for the query of now. What an earlier one found stays until something newer is there.
function Picker:search()
  self:stop_search()
  self.problem, self.ended = nil, nil
  local width = vim.api.nvim_win_get_width(self.windows.list)
  local content = self.source.rows(root_of(self.client), width)
  local function take_over()
    self.outdated = false
    if self.content ~= content then
      self.content = content
      self.selected = nil
      vim.api.nvim_win_call(self.windows.list, function()
        vim.fn.winrestview({ topline = 1, lnum = 1 })
      end)
    end
  end
  if self.query.pattern == '' then
    take_over()
    self:draw_instead()
    self:footer()
    return
  end
  self.searching = true
  local state = states.at(self.client.id)
  self.known = state and self.source.known(state)
  local query = vim.tbl_extend('keep', self.query, { max_results = config.get().picker.max_results })
  local cancelled, cancel = false, nil
  self.cancel = function()
    cancelled = true
    if cancel then
      cancel()
    end
  end
  local sink = {
    items = function(items)
      if not self:is_shown() or #items == 0 then
        return
      end
      take_over()
      local first = content:add(items)
      if not self.show_help then
        self:draw(content.rows, first)
        if not self.selected then
          self:select(1, 1)
        end
      end
      self:footer()
      if self.when_found then
        self:choose(self.when_found)
      end
    end,
    done = function(ended, problem)
      if not self:is_shown() then
        return
      end
      self.searching, self.cancel = false, nil
      self.ended, self.problem, self.when_found = ended, problem, nil
      if problem then
        content = self.source.rows(root_of(self.client), width)
      end
      take_over()
      if #content.rows == 0 then
        self:draw_instead()
      end
      self:footer()
    end,
  }
  -- Keys that follow the command that opens this are for it, also while its server starts.
  client_of.when_ready(self.client, function(client)
    if not cancelled then
      cancel = self.source.run(client, query, sink)
    end
  end, function(problem)
    if not cancelled then
      sink.done(nil, problem)
    end
  end)
  self:footer()
end

--- Closes, and goes on in the window that it was opened from, in normal mode.
---@param go_on? fun()
function Picker:close(go_on)
  if self.closed then
    return
  end
  self.closed = true
  current = nil
  self:stop_search()
  self.search_timer:close()
  self.preview_timer:close()
  vim.api.nvim_del_augroup_by_id(self.group)
  local inserting = vim.startswith(vim.api.nvim_get_mode().mode, 'i')
  vim.cmd.stopinsert()
  local function leave()
    local inside = vim.list_contains(vim.tbl_values(self.windows), vim.api.nvim_get_current_win())
    if (inside or go_on) and vim.api.nvim_win_is_valid(self.origin) then
      vim.api.nvim_set_current_win(self.origin)
    end
    for _, window in pairs(self.windows) do
      if vim.api.nvim_win_is_valid(window) then
        vim.api.nvim_win_close(window, true)
      end
    end
    if go_on then
      go_on()
    end
  end
  if inserting then
    -- Insert mode ends in the prompt, so that no other window's cursor moves with it. It hasn't ended yet. (After
    -- CTRL-C, InsertLeave isn't triggered.)
    local ends = { pattern = 'i*:*', once = true, callback = vim.schedule_wrap(leave) }
    vim.api.nvim_create_autocmd('ModeChanged', ends)
  else
    leave()
  end
end

--- Opens an item's file at its place.
---@param item syncline.Item
---@param how 'open'|'split'|'vsplit'|'tab'
function M.open(item, how)
  vim.cmd("normal! m'")
  local bufnr = vim.fn.bufadd(item.path)
  vim.bo[bufnr].buflisted = true
  local commands = { open = 'buffer', split = 'sbuffer', vsplit = 'vertical sbuffer', tab = 'tab sbuffer' }
  local opened, problem = pcall(vim.cmd, ('%s %d'):format(commands[how], bufnr))
  if not opened then
    client_of.notify(tostring(problem):gsub('^.-(E%d+: )', '%1'), vim.log.levels.ERROR)
    return
  end
  local lnum = math.min(item.lnum, vim.api.nvim_buf_line_count(bufnr))
  pcall(vim.api.nvim_win_set_cursor, 0, { lnum, item.col })
  vim.cmd('normal! zvzz')
end

--- Opens what is selected, or, while there is nothing of what is typed, the first of it that comes.
function Picker:choose(how)
  -- Keys that come together are reported as a change later.
  self:changed()
  local item = self:item()
  if self.outdated then
    self.when_found = how
  elseif item then
    self:close(function()
      M.open(item, how)
    end)
  end
end

--- All that is found of what is typed, which may be more than is shown, or nothing yet.
function Picker:to_quickfix()
  self:changed()
  if self.query.pattern == '' or (#self.content.rows == 0 and not self.outdated) then
    return
  end
  local client, query, source = self.client, vim.deepcopy(self.query), self.source
  self:close(function()
    source.to_quickfix(client, query)
  end)
end

local NEXT_CASE = { smart = 'sensitive', sensitive = 'ignore', ignore = 'smart' }

--- What each key of the options does.
---@type table<string, fun(picker: syncline.Picker)>
local actions = {
  quickfix = Picker.to_quickfix,
  help = function(picker)
    picker.show_help = not picker.show_help
    if picker.show_help then
      picker:draw_instead()
    elseif #picker.content.rows > 0 then
      picker:draw(picker.content.rows, 1)
      picker:select(1, 1)
    else
      picker:draw_instead()
    end
  end,
  close = function(picker)
    picker:close()
  end,
  next = function(picker)
    picker:move(1)
  end,
  previous = function(picker)
    picker:move(-1)
  end,
  page_down = function(picker)
    picker:move(picker:half_page())
  end,
  page_up = function(picker)
    picker:move(-picker:half_page())
  end,
  preview_down = function(picker)
    picker:scroll_preview('<C-d>')
  end,
  preview_up = function(picker)
    picker:scroll_preview('<C-u>')
  end,
  toggle_preview = function(picker)
    picker.show_preview = not picker.show_preview
    picker:place()
    picker:decorate()
    picker:search()
  end,
  toggle_regex = function(picker)
    picker.query.regex = not picker.query.regex
    picker:search_soon()
  end,
  toggle_case = function(picker)
    picker.query.case = NEXT_CASE[picker.query.case]
    picker:search_soon()
  end,
  toggle_word = function(picker)
    picker.query.word = not picker.query.word
    picker:search_soon()
  end,
  globs = function(picker)
    local there = vim.api.nvim_get_current_win() == picker.windows.globs
    vim.api.nvim_set_current_win(there and picker.windows.prompt or picker.windows.globs)
    vim.cmd('startinsert!')
  end,
}
for _, how in ipairs({ 'open', 'split', 'vsplit', 'tab' }) do
  actions[how] = function(picker)
    picker:choose(how)
  end
end

---@param name string
---@param bufnr integer
function Picker:map_keys(name, bufnr)
  local modes = (name == 'prompt' or name == 'globs') and { 'i', 'n' } or { 'n' }
  local function map(in_modes, key, action)
    vim.keymap.set(in_modes, key, function()
      if not self.closed then
        action(self)
      end
    end, { buffer = bufnr, nowait = true })
  end
  for name_of_action, action in pairs(actions) do
    for _, key in ipairs(keys.of(name_of_action, self.source.has_filters)) do
      map(modes, key, action)
    end
  end
  map('n', '<Esc>', actions.close)
  map('n', 'q', actions.close)
end

function Picker:listen()
  self.group = vim.api.nvim_create_augroup('syncline-picker', {})
  local function on(events, bufnr, callback)
    vim.api.nvim_create_autocmd(events, {
      group = self.group,
      buffer = bufnr,
      callback = vim.schedule_wrap(function()
        if not self.closed then
          callback()
        end
      end),
    })
  end
  for _, name in ipairs(self.source.has_filters and { 'prompt', 'globs' } or { 'prompt' }) do
    on({ 'TextChanged', 'TextChangedI', 'TextChangedP' }, self.buffers[name], function()
      self:changed()
    end)
  end
  -- By mouse, or by the keys of windows: the row under the cursor is the selected one.
  on('CursorMoved', self.buffers.list, function()
    if vim.api.nvim_get_current_win() == self.windows.list and #self.content.rows > 0 and not self.show_help then
      local row = vim.api.nvim_win_get_cursor(self.windows.list)[1]
      if row ~= self.selected then
        self:select(row, row > (self.selected or 0) and 1 or -1)
      end
    end
  end)
  on('WinEnter', nil, function()
    if not vim.list_contains(vim.tbl_values(self.windows), vim.api.nvim_get_current_win()) then
      self:close()
    end
  end)
  on('WinClosed', nil, function()
    for _, window in pairs(self.windows) do
      if not vim.api.nvim_win_is_valid(window) then
        return self:close()
      end
    end
  end)
  on('VimResized', nil, function()
    self:place()
    self:decorate()
    self:search()
  end)
  vim.api.nvim_create_autocmd('User', {
    group = self.group,
    pattern = 'SynclineState',
    callback = function(event)
      if event.data.client_id == self.client.id and self:is_shown() then
        if not event.data.state then
          return self:ended_server()
        end
        if self.query.pattern == '' and not self.show_help then
          self:draw_instead()
        elseif self:may_find_now(event.data.state) then
          return self:search()
        end
        self:footer()
      end
    end,
  })
end

--- Whether nothing was found, of what has become more since.
---@param state syncline.State
function Picker:may_find_now(state)
  local is_over = not self.searching and not self.outdated and not self.problem and not self.show_help
  return is_over and #self.content.rows == 0 and self.source.known(state) ~= self.known
end

--- The server is gone, and with it the answer that was waited for.
function Picker:ended_server()
  self:stop_search()
  self.problem = 'The server has ended. Close this and try again.'
  self:draw_instead()
  self:footer()
end

--- Opens a picker on a client's codebase.
---@param name 'search'|'symbols'
---@param client vim.lsp.Client
---@param query syncline.Query
function M.start(name, client, query)
  if vim.fn.getcmdwintype() ~= '' then
    return client_of.notify('no other window can be opened beside the command-line window', vim.log.levels.WARN)
  elseif current then
    return current:close(function()
      M.start(name, client, query)
    end)
  end
  local self = setmetatable({
    source = M.sources[name],
    client = client,
    query = vim.tbl_extend('force', vim.deepcopy(query), { pattern = '', globs = {} }),
    origin = vim.api.nvim_get_current_win(),
    windows = {},
    buffers = {},
    content = { rows = {} },
    searching = false,
    outdated = false,
    closed = false,
    show_preview = config.get().picker.preview,
    show_help = false,
    search_timer = assert(vim.uv.new_timer()),
    preview_timer = assert(vim.uv.new_timer()),
  }, Picker)
  current = self
  self.content = self.source.rows(root_of(client), 80)
  self:place()
  leave_alone(self.buffers.prompt)
  vim.api.nvim_buf_set_lines(self.buffers.prompt, 0, -1, false, { (query.pattern:gsub('[\r\n]', ' ')) })
  if self.source.has_filters then
    leave_alone(self.buffers.globs)
    vim.api.nvim_buf_set_lines(self.buffers.globs, 0, -1, false, { table.concat(query.globs or {}, ' ') })
  end
  self:listen()
  self:decorate()
  self:draw_instead()
  self:footer()
  vim.cmd('startinsert!')
  self:changed()
end

return M
