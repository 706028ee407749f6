-- Two Neovims on one repository, behind the engine that they share: what one does shows in the other, and the engine's
-- end in neither.

local here = vim.fs.dirname(assert(vim.uv.fs_realpath(debug.getinfo(1, 'S').source:sub(2))))
package.path = here .. '/support/?.lua;' .. package.path
local suite = require('suite')
local test, equal = suite.test, suite.equal

local function run(env, ...)
  local result = vim.system({ suite.binary, ... }, { env = env, text = true }):wait(30000)
  assert(result.code == 0, ('`%s` ended with %d: %s'):format(table.concat({ ... }, ' '), result.code, result.stderr))
  return vim.trim(result.stdout)
end

--- The user's shared engine as it describes itself, or nil.
local function engine(env)
  local state = vim.json.decode(run(env, 'daemon', 'status', '--json'), { luanil = { object = true, array = true } })
  return type(state) == 'table' and state or nil
end

--- Process ids of all engines of the user, whether the socket leads to them or not. Linux only.
local function engines(env)
  local pids = {}
  for name in vim.fs.dir('/proc') do
    local function words(file)
      local opened = name:match('^%d+$') and io.open('/proc/' .. name .. '/' .. file)
      local text = opened and opened:read('*a') or ''
      if opened then
        opened:close()
      end
      return vim.split(text, '\0')
    end
    local command = words('cmdline')
    if command[2] == 'daemon' and command[3] == 'run' then
      if vim.list_contains(words('environ'), 'XDG_RUNTIME_DIR=' .. env.XDG_RUNTIME_DIR) then
        pids[#pids + 1] = tonumber(name)
      end
    end
  end
  return pids
end

--- Whether it is the only one.
local function assert_alone(env, pid)
  if vim.fn.has('linux') == 1 then
    equal(engines(env), { pid }, 'engines')
  end
end

--- Starts a Neovim of the user with a file open.
local function open(env, path)
  local child = require('child').start({
    env = env,
    before = suite.options({ cmd = { suite.binary, 'lsp', '--stdio' } }),
  })
  child:command('edit ' .. vim.fn.fnameescape(path))
  child:wait_fresh()
  return child
end

--- What a Neovim finds, `file:line` each.
local function found(child, pattern)
  child:forget_said()
  child:command('Syncline! search -s ' .. pattern)
  local said = child:wait_said('^syncline: ')
  if vim.startswith(said, 'syncline: nothing found for ' .. pattern) then
    return {}
  end
  assert(said:find('%d match'), said)
  return child:lua([[vim.cmd.cclose()
    return vim.tbl_map(function(item)
      return vim.fn.fnamemodify(vim.api.nvim_buf_get_name(item.bufnr), ':t') .. ':' .. item.lnum
    end, vim.fn.getqflist())]])
end

--- Puts a line at the top of the current file.
local function put(child, line)
  child:lua('vim.api.nvim_buf_set_lines(0, 0, 0, false, { ... })', line)
end

local function index_of(child)
  return child:lua('return require("syncline").state().index')
end

--- Waits until a Neovim has the state of a batch behind a commit.
local function wait_batch(child, generation)
  return child:wait_lua(
    'a batch behind ' .. generation,
    [[local state = require('syncline').state()
      return state.index.generation > ... and state.index.fresh and state.phase == 'idle' and state.lastSync]],
    generation
  )
end

--- A test of two Neovims on `a.lua` and `b.lua` of one repository. Their engine is ended with it, however it went.
local function test_two(name, body)
  test(name, function()
    local env = suite.user()
    local root = suite.tree({ ['a.lua'] = 'local a\n', ['b.lua'] = 'local b\n' })
    local passed, problem = xpcall(function()
      local a, b = open(env, root .. '/a.lua'), open(env, root .. '/b.lua')
      body(a, b, env, root)
    end, debug.traceback)
    require('child').end_all()
    run(env, 'daemon', 'stop')
    if vim.fn.has('linux') == 1 then
      equal(engines(env), {}, 'engines at the end')
    end
    assert(passed, problem)
  end)
end

test_two('they share one engine: a save in one shows in the other', function(a, b, env, root)
  local shared = assert(engine(env), 'no shared engine runs')
  assert_alone(env, shared.pid)
  equal(#shared.clients, 2, 'clients')
  equal(#shared.codebases, 1, 'codebases')
  -- One that has its settings a second time holds it twice for a moment.
  a:wait('each of both uses the codebase once', function()
    return engine(env).codebases[1].clients == 2
  end)
  equal(shared.codebases[1].state.codebase.root, vim.uri_from_fname(root), 'root')

  local before = index_of(b)
  put(a, 'local from_a')
  equal(found(a, 'from_a'), { 'a.lua:1' }, 'its own unsaved text')
  equal(found(b, 'from_a'), {}, 'unsaved text of another')
  a:command('write')
  local last = wait_batch(b, before.generation)
  equal({ last.outcome, last.files }, { 'synced', 1 }, 'the batch')
  a:wait_lua('the same batch', 'return require("syncline").state().lastSync.id == ...', last.id)
  equal(found(b, 'from_a'), { 'a.lua:1' }, 'saved text of another')

  b:command('Syncline pause')
  a:wait_lua('paused by the other', 'return require("syncline").state().phase == "paused"')
  a:command('Syncline resume')
  b:wait_fresh()

  a:stop()
  before = index_of(b)
  put(b, 'local alone')
  b:command('write')
  wait_batch(b, before.generation)
  equal(found(b, 'alone'), { 'b.lua:1' }, 'after the other has ended')
  equal(engine(env).pid, shared.pid, 'the engine')
  b:stop()
end)

test_two('they go on when their engine is killed', function(a, b, env)
  local killed = engine(env).pid
  put(a, 'local unsaved_a')
  assert(vim.uv.kill(killed, 'sigkill') == 0)
  equal(found(a, 'unsaved_a'), { 'a.lua:1' }, 'unsaved text')
  a:command('write')
  b:wait('the save shows in the other', function()
    return vim.deep_equal(found(b, 'unsaved_a'), { 'a.lua:1' })
  end)
  a:wait_fresh()
  b:wait_fresh()
  local second = engine(env)
  assert(second.pid ~= killed, 'it was not killed')
  assert_alone(env, second.pid)
  equal(#second.clients, 2, 'clients')
  a:stop()
  b:stop()
end)

suite.run()
