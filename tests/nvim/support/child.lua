--- A Neovim of its own for a test: started with the plugin, driven by typed keys, its screen read as text.
--- It runs without a terminal, but draws as in one.

local M = {}

local DEADLINE_MS = tonumber(os.getenv('TEST_DEADLINE_MS')) or 30000
--- A child that is older than this is killed: it waits for a key that nobody types.
local LIFETIME_MS = 3 * DEADLINE_MS
--- Those that are running, with what kills them.
---@type table<integer, uv.uv_timer_t>
local running = {}

--- The program to test with; the one that runs this file may be another.
local NEOVIM = assert(os.getenv('TEST_NVIM'), 'TEST_NVIM names the Neovim to test')
local here = vim.fs.dirname(assert(vim.uv.fs_realpath(debug.getinfo(1, 'S').source:sub(2))))
M.project = vim.fn.fnamemodify(here, ':h:h:h')
M.plugin = M.project .. '/editors/nvim'

---@class Child
---@field channel integer
local Child = {}
Child.__index = Child

---@class ChildOptions
---@field before? string Lua that runs before plugins are loaded
---@field plugin? boolean Whether the plugin is there; true
---@field columns? integer
---@field lines? integer
---@field cwd? string
---@field env? table<string, string>
---@field arguments? string[]
---@field program? string Another Neovim

--- Starts a Neovim.
---@param options? ChildOptions
---@return Child
function M.start(options)
  options = options or {}
  local program = options.program or NEOVIM
  local command = { program, '--clean', '-n', '--embed', '--headless' }
  local function early(text)
    vim.list_extend(command, { '--cmd', text })
  end
  early(('set lines=%d columns=%d'):format(options.lines or 30, options.columns or 110))
  if options.plugin ~= false then
    early('set runtimepath^=' .. vim.fn.fnameescape(M.plugin))
  end
  -- What is said to people, kept for the tests.
  early([[lua _G.said = {}; local notify = vim.notify
    vim.notify = function(message, level) table.insert(_G.said, message); notify(message, level) end]])
  if options.before then
    early('lua ' .. options.before:gsub('\n', ' '))
  end
  vim.list_extend(command, options.arguments or {})
  local self = setmetatable({ stderr = {} }, Child)
  self.channel = vim.fn.jobstart(command, {
    rpc = true,
    cwd = options.cwd,
    env = options.env,
    on_stderr = function(_, lines)
      vim.list_extend(self.stderr, lines)
    end,
  })
  assert(self.channel > 0, 'cannot start ' .. program)
  -- Without a screen it would answer questions by itself.
  vim.rpcrequest(self.channel, 'nvim_ui_attach', options.columns or 110, options.lines or 30, { rgb = true })
  local pid = vim.fn.jobpid(self.channel)
  running[self.channel] = assert(vim.uv.new_timer())
  running[self.channel]:start(LIFETIME_MS, 0, function()
    vim.uv.kill(pid, 'sigkill')
  end)
  return self
end

--- Runs Lua in it.
function Child:lua(code, ...)
  local mode = self:mode()
  if mode.blocking or mode.mode == 'r' or mode.mode == 'rm' then
    -- So that the error can say what it shows.
    vim.rpcrequest(self.channel, 'nvim_input', '<CR>')
    local messages = vim.rpcrequest(self.channel, 'nvim_exec2', 'messages', { output = true }).output
    error(('it waits for a key, in mode %s; messages:\n%s'):format(mode.mode, messages), 2)
  end
  return vim.rpcrequest(self.channel, 'nvim_exec_lua', code, { ... })
end

--- Runs a command in it.
function Child:command(command)
  return vim.rpcrequest(self.channel, 'nvim_command', command)
end

--- Types keys as a person would. They are worked on by and by: wait for what is to come of them.
function Child:type(keys)
  local written = vim.rpcrequest(self.channel, 'nvim_input', keys)
  assert(written == #keys, 'keys were lost')
end

--- Its mode, and whether it waits for a key so that nothing else can be asked of it.
function Child:mode()
  return vim.rpcrequest(self.channel, 'nvim_get_mode')
end

--- The screen, row by row.
---@return string[]
function Child:screen()
  return self:lua([[
    vim.cmd('redraw')
    local rows = {}
    for row = 1, vim.o.lines do
      local cells = {}
      for column = 1, vim.o.columns do
        cells[column] = vim.fn.screenstring(row, column)
      end
      rows[row] = (table.concat(cells):gsub('%s+$', ''))
    end
    return rows
  ]])
end

function Child:screen_text()
  return table.concat(self:screen(), '\n')
end

--- Waits for a condition; what it gives is handed on.
function Child:wait(what, condition)
  local result
  local met = vim.wait(DEADLINE_MS, function()
    result = condition()
    return result and true or false
  end, 10)
  if not met then
    local mode = self:mode()
    local readable, shown = pcall(self.screen_text, self)
    shown = readable and shown or '(no screen)'
    error(('not in time: %s\nlast: %s\nmode: %s\n%s'):format(what, vim.inspect(result), vim.inspect(mode), shown), 2)
  end
  return result
end

--- Waits until the screen shows a plain text.
function Child:wait_screen(text)
  self:wait('on the screen: ' .. text, function()
    return self:screen_text():find(text, 1, true)
  end)
end

--- Waits until it asks a question that a key answers.
function Child:wait_question()
  self:wait('a question', function()
    return self:mode().mode == 'r?'
  end)
end

--- Waits until Lua gives something that isn't nil or false.
function Child:wait_lua(what, code, ...)
  local arguments = { ... }
  return self:wait(what, function()
    local value = self:lua(code, unpack(arguments))
    return value ~= vim.NIL and value
  end)
end

--- Waits until something that matches the pattern was said, and gives it.
function Child:wait_said(pattern)
  return self:wait('said: ' .. pattern, function()
    for _, message in ipairs(self:said()) do
      if message:find(pattern) then
        return message
      end
    end
  end)
end

function Child:said()
  return self:lua('return _G.said')
end

function Child:forget_said()
  self:lua('_G.said = {}')
end

--- Waits until the current buffer's codebase is up to date.
function Child:wait_fresh()
  return self:wait_lua(
    'up to date',
    [[local state = require('syncline').state()
      return state and state.phase == 'idle' and state.index.fresh and state]]
  )
end

local function forget(channel)
  running[channel]:close()
  running[channel] = nil
end

--- Ends it; an error that it showed is one here.
function Child:stop()
  local messages = self:lua('return vim.fn.execute("messages")')
  vim.rpcnotify(self.channel, 'nvim_command', 'qall!')
  local code = vim.fn.jobwait({ self.channel }, DEADLINE_MS)[1]
  forget(self.channel)
  assert(code == 0, ('it ended with %d; %s'):format(code, table.concat(self.stderr, '\n')))
  assert(not messages:find('stack traceback') and not messages:find('E%d+:'), 'errors were shown:\n' .. messages)
end

--- Ends those that a failed test has left.
function M.end_all()
  for channel in pairs(running) do
    vim.fn.jobstop(channel)
    forget(channel)
  end
end

return M
