-- Files and their servers: what attaches, what doesn't, two roots, and a server that ends, is missing or is old.

local here = vim.fs.dirname(assert(vim.uv.fs_realpath(debug.getinfo(1, 'S').source:sub(2))))
package.path = here .. '/support/?.lua;' .. package.path
local suite = require('suite')
local test, equal, contains = suite.test, suite.equal, suite.contains

--- Neovim reports the end of a server in a line of its own, which waits for a key where it doesn't fit.
local WIDE = { columns = 300 }

local function clients(child)
  return child:lua([[return vim.tbl_map(function(client)
    return { id = client.id, root = client.config.root_dir }
  end, vim.lsp.get_clients({ name = 'syncline' }))]])
end

local function attached(child, path)
  return child:lua(
    [[local bufnr = vim.fn.bufnr(...)
      return #vim.lsp.get_clients({ name = 'syncline', bufnr = bufnr, _uninitialized = true }) > 0]],
    path
  )
end

local function server_pid(child)
  return child:wait_lua(
    'the server’s process',
    [[local state = require('syncline').state()
      if not state then return nil end
      for _, pid in ipairs(vim.api.nvim_get_proc_children(vim.fn.getpid())) do
        local info = vim.api.nvim_get_proc(pid)
        if info and info.name:find('syncline') then return pid end
      end]]
  )
end

test('any file below a root attaches, whatever its type; others don’t', function()
  local root = suite.tree({ ['a.lua'] = 'local a\n', ['no_type'] = 'text\n' })
  local outside = suite.folder()
  suite.write(outside .. '/b.lua', 'local b\n')
  local child = suite.child()
  child:command('edit ' .. root .. '/a.lua')
  child:wait_fresh()
  child:command('edit ' .. root .. '/no_type')
  child:wait('attached', function()
    return attached(child, root .. '/no_type')
  end)
  child:command('edit ' .. root .. '/new_file')
  child:wait('attached', function()
    return attached(child, root .. '/new_file')
  end)
  for _, command in ipairs({ 'edit ' .. outside .. '/b.lua', 'enew', 'edit oil://' .. root, 'help', 'terminal true' }) do
    child:command(command)
    equal(child:lua('vim.wait(50) return #vim.lsp.get_clients({ bufnr = 0, _uninitialized = true })'), 0, command)
  end
  equal(#clients(child), 1, 'servers')
  equal(child:said(), {}, 'what was said')
  child:stop()
end)

test('a buffer that is too large isn’t sent to the server', function()
  local root = suite.tree({ ['small.txt'] = 'small\n', ['large.txt'] = ('x'):rep(1023):rep(5 * 1024, '\n') })
  local child = suite.child()
  child:command('edit ' .. root .. '/large.txt')
  child:command('edit ' .. root .. '/small.txt')
  child:wait_fresh()
  equal(attached(child, root .. '/large.txt'), false, 'attached')
  child:stop()
end)

test('a file that is open at the start attaches', function()
  local root = suite.tree({ ['a.lua'] = 'local a\n' })
  local child = suite.child(nil, { arguments = { root .. '/a.lua' } })
  child:wait_fresh()
  child:stop()
end)

test('setup() may come late, and takes part', function()
  local root = suite.tree({ ['pyproject.toml'] = '', ['sub/mark'] = '', ['sub/a.lua'] = 'local a\n' })
  local child = suite.child(nil, { before = 'vim.opt.loadplugins = false' })
  child:command('edit ' .. root .. '/sub/a.lua')
  child:lua([[vim.cmd.runtime('plugin/syncline.lua') require('syncline').setup({ root_markers = { 'mark' } })]])
  child:wait_fresh()
  equal(clients(child)[1].root, root .. '/sub', 'root')
  child:stop()
end)

test('other markers make other roots, without a repository too', function()
  local root = suite.folder()
  suite.write(root .. '/mark', '')
  suite.write(root .. '/sub/a.lua', 'local a\n')
  local child = suite.child({ root_markers = { 'mark' } })
  child:command('edit ' .. root .. '/sub/a.lua')
  child:wait_fresh()
  equal(clients(child)[1].root, root, 'root')
  child:stop()
end)

test('two roots have two servers; a wiped buffer detaches', function()
  local one = suite.tree({ ['a.lua'] = 'local one = "needle"\n' }, 'one')
  local two = suite.tree({ ['a.lua'] = 'local two = "needle"\n' }, 'two')
  local child = suite.child()
  child:command('edit ' .. one .. '/a.lua')
  equal(child:wait_fresh().codebase.name, 'one', 'codebase')
  child:command('edit ' .. two .. '/a.lua')
  equal(child:wait_fresh().codebase.name, 'two', 'codebase')
  equal(#clients(child), 2, 'servers')
  -- Each searches its own.
  child:command('Syncline! search needle')
  child:wait_said('1 match in 1 file')
  contains(child:lua('return vim.api.nvim_buf_get_name(vim.fn.getqflist()[1].bufnr)'), two)
  child:command('cclose')
  child:command('bwipeout! ' .. one .. '/a.lua')
  equal(child:lua('return vim.tbl_count(vim.lsp.get_clients({ name = "syncline" })[1].attached_buffers)'), 0, 'buffers')
  child:stop()
end)

test('nothing of a language server is offered, and no option of the buffer changes', function()
  local root = suite.tree({ ['a.lua'] = 'local a\n' })
  local child = suite.child()
  local options = [[return { vim.bo.omnifunc, vim.bo.tagfunc, vim.bo.formatexpr, vim.bo.keywordprg,
    vim.fn.maparg('K', 'n') }]]
  child:command('edit ' .. root .. '/a.lua')
  local before = child:lua(options)
  child:wait_fresh()
  equal(child:lua(options), before, 'options')
  local offered = child:lua([[local list = {}
    for name in pairs(vim.lsp.get_clients({ name = 'syncline' })[1].server_capabilities) do table.insert(list, name) end
    return list]])
  for _, name in ipairs({ 'hoverProvider', 'completionProvider', 'documentSymbolProvider', 'definitionProvider' }) do
    assert(not vim.list_contains(offered, name), name)
  end
  child:stop()
end)

test('200 buffers saved by :wa are one or two batches', function()
  local files = {}
  for index = 1, 200 do
    files[('f%03d.txt'):format(index)] = 'before\n'
  end
  local root = suite.tree(files)
  -- Long enough that a slow machine's writes are one burst.
  local child = suite.child({ settings = { sync = { debounceMs = 400, maxWaitMs = 20000 } } })
  for path in vim.spairs(files) do
    child:command('edit ' .. root .. '/' .. path)
  end
  local generation = child:wait_fresh().index.generation
  child:lua([[_G.batches = {}
    vim.api.nvim_create_autocmd('User', { pattern = 'SynclineState', callback = function(event)
      local last = event.data.state.lastSync
      if last then _G.batches[last.id] = last.files end
    end })
    for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
      if vim.api.nvim_buf_is_loaded(bufnr) then vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, { 'after' }) end
    end
    local last = require('syncline').state().lastSync
    _G.first = last.id
    vim.cmd('silent wall')]])
  child:wait_lua(
    'all are synced',
    [[local state = require('syncline').state()
      return state.phase == 'idle' and state.index.fresh and state.index.generation > ... and state.index.pending == 0]],
    generation
  )
  local batches = child:lua('_G.batches[_G.first] = nil return _G.batches')
  local number, sum = vim.tbl_count(batches), 0
  for _, count in pairs(batches) do
    sum = sum + count
  end
  assert(number >= 1 and number <= 2, vim.inspect(batches))
  assert(sum >= 200, vim.inspect(batches))
  child:command('Syncline! search after')
  child:wait_said('200 matches in 200 files')
  child:stop()
end)

test('a search knows unsaved text of every buffer, at once', function()
  local root = suite.tree({ ['a.txt'] = 'first\n', ['b.txt'] = 'first\n' })
  local child = suite.child()
  child:command('edit ' .. root .. '/b.txt')
  child:wait_fresh()
  child:command('edit ' .. root .. '/a.txt')
  for _, text in ipairs({ 'second', 'third' }) do
    child:forget_said()
    child:lua(
      [[local text = ...
        for _, name in ipairs({ 'a.txt', 'b.txt' }) do
          vim.api.nvim_buf_set_lines(vim.fn.bufnr(name), 0, -1, false, { text })
        end
        vim.cmd('Syncline! search ' .. text)]],
      text
    )
    child:wait_said('2 matches in 2 files')
    child:command('cclose')
  end
  child:command('Syncline! search first')
  child:wait_said('nothing found for first')
  child:stop()
end)

test('a server that is killed starts again, with its files', function()
  local root = suite.tree({ ['a.lua'] = 'local a = "needle"\n' })
  local child = suite.child(nil, WIDE)
  child:command('edit ' .. root .. '/a.lua')
  child:wait_fresh()
  local pid = server_pid(child)
  vim.uv.kill(pid, 'sigkill')
  child:wait_said('tree: its server was ended by signal 9 and starts again')
  child:wait_fresh()
  assert(server_pid(child) ~= pid, 'another process')
  child:command('Syncline! search needle')
  child:wait_said('1 match in 1 file')
  child:stop()
end)

test('a server that crashes again and again is left, until :Syncline restart', function()
  local root = suite.tree({ ['a.lua'] = 'local a\n' })
  local child = suite.child(nil, WIDE)
  child:lua([[require('syncline.client').RESTART_DELAY_MS = 1 require('syncline.client').MAX_CRASHES = 3]])
  child:command('edit ' .. root .. '/a.lua')
  local pids = {}
  for _ = 1, 3 do
    child:wait('another server', function()
      local pid = server_pid(child)
      if pids[pid] then
        return false
      end
      pids[pid] = true
      vim.uv.kill(pid, 'sigkill')
      return true
    end)
  end
  child:wait_said('tree: its server crashed 3 times; see :Syncline')
  equal(#clients(child), 0, 'servers')
  contains(child:lua('return require("syncline").statusline()'), 'off')
  child:command('edit ' .. root .. '/b.lua')
  child:command('Syncline search')
  child:wait_said('tree: its server crashed 3 times, last it was ended by signal 9; :Syncline restart tries again')
  child:command('Syncline queue')
  child:wait_screen('its server crashed 3 times, last it was ended by signal 9')
  child:type('q')
  child:command('Syncline restart')
  child:wait_said('started again')
  child:wait_fresh()
  child:stop()
end)

test('a server that was stopped stays so until it is wanted', function()
  local root = suite.tree({ ['a.lua'] = 'local a\n', ['b.lua'] = 'local b\n' })
  local child = suite.child()
  child:command('edit ' .. root .. '/a.lua')
  child:wait_fresh()
  child:lua([[local client = vim.lsp.get_clients({ name = 'syncline' })[1]
    if vim.fn.has('nvim-0.11') == 1 then client:stop() else client.stop() end]])
  child:wait('the end', function()
    return #clients(child) == 0
  end)
  child:command('edit ' .. root .. '/b.lua')
  equal(child:lua('vim.wait(100) return #vim.lsp.get_clients({ _uninitialized = true })'), 0, 'servers')
  equal(child:said(), {}, 'what was said')
  child:command('Syncline restart')
  child:wait_fresh()
  child:stop()
end)

test('a program that is missing is reported once', function()
  local root = suite.tree({ ['a.lua'] = 'local a\n', ['b.lua'] = 'local b\n' })
  local child = suite.child({ cmd = { 'syncline-that-is-missing', 'lsp' } })
  child:command('edit ' .. root .. '/a.lua')
  child:wait_said('can’t find `syncline%-that%-is%-missing`; see :checkhealth syncline')
  child:command('edit ' .. root .. '/b.lua')
  child:lua('vim.wait(100)')
  equal(#child:said(), 1, 'how often')
  child:command('Syncline search')
  child:wait('a second sentence', function()
    return #child:said() == 2
  end)
  equal(child:lua('return require("syncline").statusline()'), '', 'status line')
  child:command('Syncline queue')
  child:wait_screen('The program `syncline-that-is-missing` can’t be found; see :checkhealth syncline.')
  child:type('q')
  child:stop()
end)

test('a program that is too old to know `lsp` is reported once, and not started again', function()
  local root = suite.tree({ ['a.lua'] = 'local a\n', ['b.lua'] = 'local b\n' })
  local old = suite.program('echo "error: unrecognized subcommand" >&2; exit 2')
  local child = suite.child({ cmd = { old, 'lsp' } }, WIDE)
  child:command('edit ' .. root .. '/a.lua')
  child:wait_said('tree: its server ended with code 2 at its start; see :checkhealth syncline')
  child:command('edit ' .. root .. '/b.lua')
  child:lua('vim.wait(100)')
  local ours = vim.tbl_filter(function(message)
    return message:find('^syncline: ') ~= nil
  end, child:said())
  equal(#ours, 1, 'how often')
  child:command('Syncline log')
  child:wait_screen('unrecognized subcommand')
  child:stop()
end)

test('a restart makes a server end that doesn’t by itself', function()
  local root = suite.tree({ ['a.lua'] = 'local a\n' })
  -- It answers `initialize`, and nothing after it.
  local hangs = suite.program([[
    text='{"jsonrpc":"2.0","id":1,"result":{"capabilities":{"experimental":{"syncline":{"protocol":1}}}}}'
    printf 'Content-Length: %d\r\n\r\n%s' ${#text} "$text"
    exec sleep 600]])
  local child = suite.child({ cmd = { hangs, 'lsp' } })
  child:lua('require("syncline.client").TIMEOUT_MS = 300')
  child:command('edit ' .. root .. '/a.lua')
  local function id()
    local client = child:lua('local c = vim.lsp.get_clients()[1] return c and c.id')
    return client ~= vim.NIL and client or nil
  end
  local first = child:wait('a server', id)
  child:command('Syncline restart')
  child:wait_said('started again')
  child:wait('another server', function()
    return (id() or first) ~= first
  end)
  equal(child:lua('return #vim.lsp.get_clients({ _uninitialized = true })'), 1, 'servers')
  child:stop()
end)

test('without autostart, a command starts the server of the current folder', function()
  local root = suite.tree({ ['a.lua'] = 'local a = "needle"\n' })
  local child = suite.child({ autostart = false }, { cwd = root })
  child:command('edit a.lua')
  equal(child:lua('vim.wait(100) return #vim.lsp.get_clients({ _uninitialized = true })'), 0, 'servers')
  child:command('enew')
  child:command('Syncline! search needle')
  child:wait_said('1 match in 1 file')
  child:stop()
end)

test('Neovim leaves at once, and its server with it', function()
  local root = suite.tree({ ['a.lua'] = 'local a\n' })
  local child = suite.child()
  child:command('edit ' .. root .. '/a.lua')
  child:wait_fresh()
  local pid = server_pid(child)
  child:stop()
  local ended = vim.wait(60000, function()
    -- One that has ended may still wait to be reaped by whoever has it now.
    local state = vim.trim(vim.system({ 'ps', '-o', 'stat=', '-p', tostring(pid) }):wait().stdout)
    return state == '' or state:sub(1, 1) == 'Z'
  end, 10)
  assert(ended, 'the server is still there')
end)

suite.run()
