-- The queue's window, the status line in each state, and `User SynclineState`.

local here = vim.fs.dirname(assert(vim.uv.fs_realpath(debug.getinfo(1, 'S').source:sub(2))))
package.path = here .. '/support/?.lua;' .. package.path
local suite = require('suite')
local test, equal, contains = suite.test, suite.equal, suite.contains

local FILES = { ['a.lua'] = 'local a = "needle"\n', ['b.lua'] = 'local b\n' }

---@return Child, string
local function open(options, child_options)
  return suite.open(FILES, options, child_options)
end

local function statusline(child)
  return child:lua('return require("syncline").statusline()')
end

--- From here on, what the server itself sends isn't heard: it may have something to say at any time.
local function mute_server(child)
  child:lua([[_G.publish = vim.lsp.handlers['syncline/queueState']
    vim.lsp.handlers['syncline/queueState'] = function() end]])
end

--- Hands a state to the plugin as the server's notification does: the last one, with changes.
local function publish(child, changes)
  child:lua(
    [[_G.last = _G.last or require('syncline').state(1)
      local state = vim.tbl_deep_extend('force', _G.last, ...)
      local client = vim.lsp.get_clients({ name = 'syncline' })[1]
      local publish = _G.publish or vim.lsp.handlers['syncline/queueState']
      publish(nil, state, { client_id = client.id })]],
    changes
  )
end

local function batch(files, state, owner)
  local now = os.time() * 1000
  return { id = tostring(files), createdAt = now - 3000, owner = owner, files = files, state = state }
end

local SELF = { host = 'here', pid = 1, self = true }
local OTHER = { host = 'laptop', pid = 4711, self = false }

test('the window is aligned and live, and its keys act', function()
  local child, root = open()
  child:type(':Syncline queue<CR>')
  child:wait_screen('╭ Queue ')
  local text = child:screen_text()
  contains(text, ' ✓ tree  ' .. vim.fn.fnamemodify(root, ':~'))
  contains(text, '   state      up to date')
  contains(text, '   index      2 files, ')
  contains(text, '   last       synced 2 files in ')
  contains(text, '   queue      on this machine, empty')
  child:type('p')
  child:wait_screen('‖ tree')
  child:wait_screen('paused; answers stay right')
  child:wait_said('tree: paused')
  child:type('p')
  child:wait_said('tree: goes on')
  child:wait_screen('up to date')
  child:type('s')
  child:wait_said('tree: synced %d files? in')
  child:type('R')
  child:wait_question()
  child:type('n')
  child:wait('the question is over', function()
    return child:mode().mode == 'n'
  end)
  child:type('R')
  child:wait_question()
  child:type('y')
  child:wait_said('tree: the index is built anew')
  child:wait_screen('up to date')
  child:type('/')
  child:wait_screen('Search in tree')
  child:type('<Esc><Esc>')
  child:type(':Syncline<CR>')
  child:wait_screen('╭ Queue ')
  child:type('l')
  child:wait_screen('syncline://log')
  child:type('q:Syncline<CR>')
  child:wait_screen('╭ Queue ')
  -- One after the other, before anything else can run.
  child:type(':q<CR>:Syncline<CR>')
  child:type(':lua vim.wait(50)<CR>')
  child:wait_screen('╭ Queue ')
  child:type('<Esc>')
  child:wait('closed', function()
    return child:lua('return #vim.api.nvim_list_wins()') == 1
  end)
  child:stop()
end)

test('batches of others, and what is wrong, are shown in full', function()
  local child = open(nil, { columns = 100 })
  child:command('Syncline queue')
  mute_server(child)
  publish(child, {
    backend = 'redis',
    health = 'degraded',
    message = 'can’t watch all folders: the limit of 8,192 is reached; raise fs.inotify.max_user_watches, '
      .. 'or set watch.mode to poll',
    phase = 'waiting',
    position = 1,
    queue = { batch(1200, 'syncing', OTHER), batch('all', 'waiting', SELF) },
    lastSync = { outcome = 'failed', error = 'can’t write the index: no space left on device; free some' },
  })
  child:wait_screen('waiting, 1 batch ahead')
  local text = child:screen_text()
  contains(text, '   why        can’t watch all folders: the limit of 8,192 is reached; raise')
  contains(text, '              fs.inotify.max_user_watches, or set watch.mode to poll')
  contains(text, '   last       failed: can’t write the index: no space left on device; free some, ')
  contains(text, '   queue      in Redis')
  contains(text, '                   files       owner                  since')
  -- How old they are by now depends on the machine.
  text = text:gsub('%d+ s', 'N s')
  contains(text, '              ↻  1 1,200 files laptop, 4711           N s')
  contains(text, '              …  2 all files   this editor            N s')
  child:stop()
end)

test('without a codebase it says how to get one', function()
  local child = suite.child(nil, { cwd = suite.folder() })
  child:command('Syncline queue')
  child:wait_screen('No codebase is open.')
  child:wait_screen('Open a file below a folder that holds one of .syncline.toml, .git, .jj, .hg.')
  child:type('sq')
  equal(child:lua('return require("syncline").statusline()'), '', 'status line')
  child:stop()
end)

test('the status line in each state', function()
  local child = open()
  mute_server(child)
  equal(statusline(child), '✓', 'up to date')
  local cases = {
    { { phase = 'syncing', progress = { done = 42, total = 100, stage = 'text' } }, '↻ 42%%' },
    { { phase = 'syncing', progress = { done = 7, total = 0, stage = 'scan' } }, '↻ syncing' },
    { { phase = 'waiting', position = 0 }, '… waiting' },
    { { phase = 'waiting', position = 2 }, '… 2 ahead' },
    { { phase = 'paused' }, '‖ paused' },
    { { phase = 'idle', health = 'degraded', message = 'why' }, '! degraded' },
    { { phase = 'syncing', health = 'error', message = 'why' }, '✗ error' },
    { { phase = 'idle', health = 'ok' }, '✓' },
  }
  for _, case in ipairs(cases) do
    publish(child, case[1])
    equal(statusline(child), case[2], vim.inspect(case[1]))
    child:wait_lua('the variable', 'return vim.b.syncline_status == ...', (case[2]:gsub('%%%%', '%%')))
  end
  for _, shown in ipairs({ '%{%v:lua.require("syncline").statusline()%}', "%{get(b:, 'syncline_status', '')}" }) do
    publish(child, { phase = 'idle' })
    child:lua("vim.o.laststatus = 2 vim.o.statusline = '[' .. ... .. ']'", shown)
    publish(child, { phase = 'syncing', progress = { done = 42, total = 100, stage = 'text' } })
    child:wait_screen('[↻ 42%]')
  end
  child:stop()
end)

test('the status line is drawn for a new text only, and not for each of many', function()
  local child = open()
  mute_server(child)
  child:lua([[_G.drawn = 0
    function _G.status()
      _G.drawn = _G.drawn + 1
      return require('syncline').statusline()
    end
    vim.o.laststatus = 2 vim.o.statusline = '[%{%v:lua.status()%}]']])
  local function publish_many(total)
    child:lua(
      [[_G.drawn = 0
        local state = vim.deepcopy(require('syncline').state())
        local client = vim.lsp.get_clients({ name = 'syncline' })[1]
        state.phase = 'syncing'
        for done = 0, 50 do
          state.progress = { done = done, total = ..., stage = 'text' }
          _G.publish(nil, vim.deepcopy(state), { client_id = client.id })
        end]],
      total
    )
  end
  publish_many(100)
  child:wait_screen('[↻ 50%]')
  local drawn = child:lua('return _G.drawn')
  assert(drawn > 0 and drawn < 25, drawn)
  child:wait_screen('[↻ 50%]')
  publish_many(100000)
  child:wait_screen('[↻ 0%]')
  publish_many(200000)
  equal(child:lua('return _G.drawn'), 0, 'drawn for the same text')
  child:stop()
end)

test('a cold index shows as work, then as done; signs may be others', function()
  local files = { ['a.lua'] = 'local a\n' }
  for index = 1, 3000 do
    files[('d%d/f%d.txt'):format(index % 20, index)] = ('words to index, number %d\n'):format(index):rep(20)
  end
  local root = suite.tree(files)
  local child = suite.child({ signs = { busy = 'B', ok = 'O' } })
  child:lua([[_G.seen = {}
    vim.api.nvim_create_autocmd('User', { pattern = 'SynclineState', callback = function()
      _G.seen[require('syncline').statusline(1)] = true
    end })]])
  child:command('edit ' .. root .. '/a.lua')
  equal(child:wait_fresh().index.files, 3001, 'files')
  equal(statusline(child), 'O', 'at the end')
  local seen = vim.tbl_keys(child:lua('return _G.seen'))
  assert(
    vim.iter(seen):any(function(text)
      return vim.startswith(text, 'B ')
    end),
    vim.inspect(seen)
  )
  child:stop()
end)

test('an index folder that can’t be written is an error with its cause', function()
  local root = suite.tree(FILES)
  local child =
    suite.child(nil, { env = { SYNCLINE_INDEX_DIR = root .. '/a.lua/index' }, before = 'vim.o.cmdheight = 6' })
  child:command('edit ' .. root .. '/a.lua')
  child:wait('not ok', function()
    return vim.list_contains({ '✗ error', '! degraded' }, statusline(child))
  end)
  child:command('Syncline status')
  contains(child:lua('return vim.fn.execute("messages")'), 'a.lua/index')
  child:stop()
end)

test('the event carries the state, and the end of a codebase', function()
  local root = suite.tree(FILES)
  local child = suite.child()
  child:lua([[_G.events = {}
    vim.api.nvim_create_autocmd('User', { pattern = 'SynclineState', callback = function(event)
      table.insert(_G.events, event.data)
    end })]])
  child:command('edit ' .. root .. '/a.lua')
  child:wait_fresh()
  local events = child:lua('return _G.events')
  equal(events[#events].state.codebase.name, 'tree', 'codebase')
  equal(events[#events].state.index.fresh, true, 'fresh')
  child:lua([[local client = vim.lsp.get_clients({ name = 'syncline' })[1]
    if vim.fn.has('nvim-0.11') == 1 then client:stop() else client.stop() end]])
  child:wait_lua(
    'the end',
    'local last = _G.events[#_G.events] return last.state == nil and last.codebase.name == "tree"'
  )
  equal(statusline(child), '', 'status line')
  child:stop()
end)

suite.run()
