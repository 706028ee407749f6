--- Runs a file's tests one after the other, each in a tree of its own, and exits with 0 when all passed.

local M = {}

M.binary = assert(os.getenv('SYNCLINE_BIN'), 'SYNCLINE_BIN names the program')
-- The server takes what begins so for settings.
vim.uv.os_unsetenv('SYNCLINE_BIN')

local scratch = assert(vim.uv.fs_realpath(vim.fn.fnamemodify(vim.fn.tempname(), ':h')))
local made = 0

--- A new folder.
---@return string
function M.folder()
  made = made + 1
  local path = ('%s/%d'):format(scratch, made)
  vim.fn.mkdir(path, 'p')
  return path
end

--- Writes a file, with the folders that it needs.
function M.write(path, text)
  vim.fn.mkdir(vim.fs.dirname(path), 'p')
  local file = assert(io.open(path, 'w'))
  file:write(text)
  file:close()
end

--- A git repository with files: texts by their paths.
---@param files table<string, string>
---@param name? string
---@return string root
function M.tree(files, name)
  local root = M.folder() .. '/' .. (name or 'tree')
  for path, text in pairs(files) do
    M.write(root .. '/' .. path, text)
  end
  assert(vim.system({ 'git', 'init', '-q', root }):wait().code == 0, 'git init')
  return root
end

--- A program that does what a shell script says.
---@param script string
---@return string
function M.program(script)
  local path = M.folder() .. '/syncline'
  M.write(path, '#!/bin/sh\n' .. script .. '\n')
  assert(vim.uv.fs_chmod(path, 448))
  return path
end

--- Lua that sets the plugin's options before it is loaded: the server of this test run, and what else is given.
---@param options? table
---@return string
function M.options(options)
  local all = vim.tbl_extend('keep', options or {}, { cmd = { M.binary, 'lsp', '--stdio', '--standalone' } })
  return 'vim.g.syncline = ' .. vim.inspect(all, { newline = ' ', indent = '' })
end

--- Starts a Neovim with the plugin, whose server has an index folder of its own.
---@param options? table Of the plugin
---@param child_options? ChildOptions
---@return Child
function M.child(options, child_options)
  child_options = child_options or {}
  child_options.before = (child_options.before or '') .. ' ' .. M.options(options)
  child_options.env = vim.tbl_extend('keep', child_options.env or {}, { SYNCLINE_INDEX_DIR = M.folder() })
  return require('child').start(child_options)
end

--- Starts a Neovim with the plugin on a tree of its own, with its `a.lua` open and the index up to date.
---@param files table<string, string>
---@param options? table Of the plugin
---@param child_options? ChildOptions
---@return Child, string root
function M.open(files, options, child_options)
  local root = M.tree(files)
  local child = M.child(options, child_options)
  child:command('edit ' .. root .. '/a.lua')
  child:wait_fresh()
  return child, root
end

--- A user of their own, with an empty home and a shared engine that is theirs alone: what their processes have in the
--- environment.
---@return table<string, string>
function M.user()
  local home = M.folder()
  local env = { HOME = home }
  for _, name in ipairs({ 'RUNTIME_DIR', 'CONFIG_HOME', 'CACHE_HOME', 'DATA_HOME', 'STATE_HOME' }) do
    local folder = home .. '/' .. name:lower()
    env['XDG_' .. name] = folder
    vim.fn.mkdir(folder, 'p', 448)
  end
  return env
end

function M.equal(actual, expected, what)
  if not vim.deep_equal(actual, expected) then
    error(('%s: expected %s, got %s'):format(what or 'value', vim.inspect(expected), vim.inspect(actual)), 2)
  end
end

--- Whether a text has a plain text in it.
function M.contains(text, part)
  if not text:find(part, 1, true) then
    error(('“%s” isn’t in:\n%s'):format(part, text), 2)
  end
end

local tests = {}

--- Adds a test.
function M.test(name, body)
  table.insert(tests, { name = name, body = body })
end

--- Runs them and exits. `TEST_ONLY` in the environment runs those whose name has it.
function M.run()
  local only, failed, passed = os.getenv('TEST_ONLY'), 0, 0
  for _, test in ipairs(tests) do
    if not only or test.name:find(only, 1, true) then
      local start = vim.uv.hrtime()
      local ok, problem = xpcall(test.body, debug.traceback)
      local took = (vim.uv.hrtime() - start) / 1e9
      io.stdout:write(('%s %s (%.1f s)\n'):format(ok and 'ok    ' or 'FAILED', test.name, took))
      if ok then
        passed = passed + 1
      else
        failed = failed + 1
        io.stdout:write(tostring(problem) .. '\n')
      end
      require('child').end_all()
    end
  end
  vim.fn.delete(scratch, 'rf')
  io.stdout:write(('%d passed, %d failed\n'):format(passed, failed))
  io.stdout:flush()
  os.exit(failed == 0 and passed > 0 and 0 or 1)
end

return M
