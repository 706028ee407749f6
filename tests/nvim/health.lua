-- `:checkhealth syncline`, with all well and with each fault.

local here = vim.fs.dirname(assert(vim.uv.fs_realpath(debug.getinfo(1, 'S').source:sub(2))))
package.path = here .. '/support/?.lua;' .. package.path
local suite = require('suite')
local test, equal, contains = suite.test, suite.equal, suite.contains

--- What the check says, without the signs that newer versions put before its words.
local function report(child)
  child:command('checkhealth syncline')
  local lines = child:wait_lua(
    'the report',
    [[local lines = vim.api.nvim_buf_get_lines(0, 0, -1, false)
      return vim.bo.filetype == 'checkhealth' and #lines > 5 and lines]]
  )
  return (table.concat(lines, '\n'):gsub('✅ ', ''):gsub('⚠️ ', ''):gsub('❌ ', ''))
end

--- Starts a Neovim with a file of a codebase open, and gives its report.
---@param options? table
---@param child_options? ChildOptions
---@param before? fun(child: Child)
local function report_with(options, child_options, before)
  local root = suite.tree({ ['a.lua'] = 'local a\n' })
  local child = suite.child(options, child_options)
  child:command('edit ' .. root .. '/a.lua')
  if before then
    before(child)
  end
  local text = report(child)
  child:stop()
  return text
end

local function fresh(child)
  child:wait_fresh()
end

test('all well', function()
  local text = report_with(nil, nil, fresh)
  for _, line in ipairs({
    'OK all are known and of the right kind',
    'OK syncline 0.',
    'OK tree (',
    'up to date; 1 file, ',
    'OK on this machine; no Redis is set',
    'Conflicts ~\n- OK none',
    '`cmd` says `--standalone`',
  }) do
    contains(text, line)
  end
  equal(text:find('ERROR'), nil, 'errors')
  if vim.fn.has('linux') == 1 then
    contains(text, 'the system allows ')
  end
end)

test('a program that is missing', function()
  local text = report_with({ cmd = { 'syncline-that-is-missing' } })
  contains(text, 'ERROR can’t find `syncline-that-is-missing`')
  contains(text, 'Put it on your PATH, or name it')
end)

test('a program that hangs, fails, is another, or is old', function()
  local hangs = suite.program('exec sleep 60')
  contains(
    report_with({ autostart = false, cmd = { hangs, 'lsp' } }),
    ('ERROR `%s --version` did not answer within 3 s'):format(hangs)
  )
  local fails = suite.program('echo "cannot load a library" >&2; exit 3')
  contains(
    report_with({ autostart = false, cmd = { fails, 'lsp' } }),
    ('ERROR `%s --version` ended with code 3: cannot load a library'):format(fails)
  )
  local other = suite.program('echo "something else 2.0"')
  contains(
    report_with({ autostart = false, cmd = { other, 'lsp' } }),
    ('ERROR `%s` isn’t Syncline: it says “something else 2.0”'):format(other)
  )
  local old = suite.program('echo "syncline 0.0.9 (abc 2026-01-01)"')
  contains(
    report_with({ autostart = false, cmd = { old, 'lsp' } }),
    'ERROR syncline 0.0.9 (abc 2026-01-01) is too old: 0.1.0 or newer is needed'
  )
end)

test('the shared engine', function()
  local shared = { cmd = { suite.binary, 'lsp', '--stdio' }, autostart = false }
  local home = suite.folder()
  local env = { HOME = home, XDG_RUNTIME_DIR = home, XDG_STATE_HOME = home }
  assert(vim.uv.fs_chmod(home, 448))
  contains(report_with(shared, { env = env }), 'none runs; an editor starts it')
  local text = report_with(vim.tbl_extend('force', shared, { autostart = true }), { env = env }, fresh)
  local stopped = vim.system({ suite.binary, 'daemon', 'stop' }, { env = env }):wait(30000)
  equal(stopped.code, 0, 'daemon stop')
  local line = text:match('OK syncline 0[^\n]+, pid %d+, up %d+ m?s, 1 client, 1 codebase open, [^\n]+')
  assert(line, text)
  contains(line, ' of memory, its log is ~/')

  local function says(script)
    local program = suite.program('if [ "$1" = --version ]; then echo "syncline 0.1.0 (abc)"; exit; fi\n' .. script)
    return report_with({ autostart = false, cmd = { program, 'lsp' } })
  end
  contains(says('echo "error: unrecognized subcommand" >&2; exit 2'), 'this version of the program has none')
  contains(says('echo "it is stuck" >&2; exit 1'), 'daemon status` ended with code 1: it is stuck')
  contains(says('echo "what?"'), 'answered what isn’t a state: what?')
end)

test('options that are wrong', function()
  local text = report_with({ search = { case = 'loud' } }, nil, fresh)
  contains(text, 'ERROR option search.case: expected one of smart, sensitive, ignore, got loud')
end)

test('few file watches', function()
  local file = suite.folder() .. '/limit'
  suite.write(file, '8192\n')
  local function with(path)
    return report_with(nil, nil, function(child)
      child:wait_fresh()
      child:lua('require("syncline.health").WATCH_LIMIT_FILE = ...', path)
    end)
  end
  if vim.fn.has('linux') == 1 then
    local text = with(file)
    contains(text, 'WARNING the system allows 8,192 folders; a large tree needs more')
    contains(text, 'sudo sysctl fs.inotify.max_user_watches=524288')
    contains(with(file .. '.missing'), 'WARNING can’t read how many the system allows')
  end
end)

test('a codebase that is not well, and one whose server crashed too often', function()
  local text = report_with(nil, {
    env = { SYNCLINE_INDEX_DIR = '/dev/null/index' },
  }, function(child)
    child:wait_lua('not ok', 'local state = require("syncline").state() return state and state.health ~= "ok"')
  end)
  contains(text, 'tree (')
  assert(text:find('%- WARNING tree %(') or text:find('%- ERROR tree %('), text)
  contains(text, '/dev/null/index')

  local crashes = suite.program('exit 3')
  -- Wide, for the line in which Neovim reports the end of a server.
  text = report_with({ cmd = { crashes, 'lsp' } }, { columns = 300 }, function(child)
    child:wait_said('ended with code 3 at its start')
  end)
  contains(text, 'its server ended with code 3 at its start')
  contains(text, ':Syncline restart tries again')
end)

test('a Redis that is set, but not used', function()
  local url = 'redis://127.0.0.1:1'
  local text = report_with({ settings = { queue = { redisUrl = url, backend = 'local' } } }, nil, fresh)
  contains(text, 'WARNING the option `settings.queue.redisUrl` names a Redis, but queues are on this machine')
  text = report_with(nil, {
    env = { SYNCLINE_QUEUE_REDIS_URL = url, SYNCLINE_QUEUE_BACKEND = 'local', SYNCLINE_INDEX_DIR = suite.folder() },
  }, fresh)
  contains(text, 'WARNING SYNCLINE_QUEUE_REDIS_URL names a Redis')
end)

test('conflicts: twice on the runtimepath, two servers for a root, not loaded', function()
  local copy = suite.folder()
  suite.write(copy .. '/plugin/syncline.lua', '')
  contains(
    report_with(nil, { before = ('vim.opt.runtimepath:append(%q)'):format(copy) }, fresh),
    'WARNING the plugin is there more than once: '
  )

  local text = report_with(nil, nil, function(child)
    child:wait_fresh()
    child:lua([[
      local config = require('syncline.client').lsp_config()
      config.root_dir = vim.lsp.get_clients()[1].config.root_dir
      vim.lsp.start(config, { bufnr = 0, reuse_client = function() return false end })]])
    child:wait_lua('another', 'return #vim.lsp.get_clients({ name = "syncline" }) == 2')
  end)
  contains(text, 'WARNING 2 servers run for ')

  text = report_with(nil, { before = 'vim.opt.loadplugins = false' })
  contains(text, 'WARNING `:Syncline` is missing: plugin/syncline.lua was not loaded')
end)

test('without a codebase', function()
  local child = suite.child()
  local text = report(child)
  contains(text, 'none is open; a file below a folder with one of .syncline.toml, .git, .jj, .hg opens one')
  child:stop()
end)

suite.run()
