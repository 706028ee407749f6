-- A plain Neovim, with the file `lsp/syncline.lua` and no plugin, works with `syncline lsp`: state, progress, saves,
-- searches, symbols, unsaved text, a clean end. Where it isn't said otherwise, as `vim.lsp.enable()` starts it.
-- Run as `nvim --clean --headless -l tests/nvim/lsp.lua` with SYNCLINE_BIN naming the program; exit code 0 is a pass.

local DEADLINE_MS = 60000

local binary = assert(os.getenv('SYNCLINE_BIN'), 'SYNCLINE_BIN names the program')
-- The server takes what begins so for settings.
vim.uv.os_unsetenv('SYNCLINE_BIN')
local scratch = assert(vim.uv.fs_realpath(vim.fn.fnamemodify(vim.fn.tempname(), ':h')))
local root = scratch .. '/tree'

local function write(path, text)
  vim.fn.mkdir(vim.fs.dirname(root .. '/' .. path), 'p')
  local file = assert(io.open(root .. '/' .. path, 'w'))
  file:write(text)
  file:close()
end

local is_011 = vim.fn.has('nvim-0.11') == 1
local config = assert(vim.uv.fs_realpath('editors/nvim/lsp/syncline.lua'))
local states = {}
local progress = {}

-- Waits for a condition; what it gives is handed on.
local function wait(what, condition)
  local result
  local met = vim.wait(DEADLINE_MS, function()
    result = condition()
    return result
  end, 5)
  assert(met, 'not in time: ' .. what .. '; states: ' .. vim.inspect(states))
  return result
end

local function request(client, method, params)
  -- The buffer by its number: with 0, Neovim 0.11 doesn't send the edits that it still holds back.
  local bufnr = vim.api.nvim_get_current_buf()
  local reply
  if is_011 then
    reply = assert(client:request_sync(method, params, DEADLINE_MS, bufnr))
  else
    reply = assert(client.request_sync(method, params, DEADLINE_MS, bufnr))
  end
  assert(not reply.err, vim.inspect(reply.err))
  return reply.result
end

local function search(client, query)
  return request(client, 'syncline/search', {
    query = query,
    isRegex = false,
    isCaseSensitive = true,
    wholeWord = false,
    maxResults = 100,
  })
end

local function test()
  write('.gitignore', 'ignored/\n')
  write('a.lua', 'local a = 1\n')
  write('src/b.lua', 'local b = "a needle"\n')
  write('ignored/c.lua', 'local c = "a needle"\n')
  assert(vim.system({ 'git', 'init', '-q', root }):wait().code == 0, 'git init')

  vim.cmd.filetype('on')
  vim.api.nvim_create_autocmd('LspProgress', {
    callback = function(event)
      progress[#progress + 1] = event.data.params.value.kind
    end,
  })
  local changes = {
    cmd = { binary, 'lsp', '--stdio', '--standalone' },
    cmd_env = { SYNCLINE_INDEX_DIR = scratch .. '/index' },
    handlers = {
      ['syncline/queueState'] = function(_, state)
        states[#states + 1] = state
      end,
    },
  }
  if is_011 then
    local folder = scratch .. '/config'
    vim.fn.mkdir(folder .. '/lsp', 'p')
    assert(vim.uv.fs_copyfile(config, folder .. '/lsp/syncline.lua'))
    vim.opt.runtimepath:prepend(folder)
    vim.lsp.config('syncline', changes)
    -- With the empty buffer that Neovim starts with, which belongs to no codebase.
    vim.lsp.enable('syncline')
    vim.cmd.edit(root .. '/a.lua')
  else
    vim.cmd.edit(root .. '/a.lua')
    local plain = vim.tbl_extend('force', dofile(config), changes, { name = 'syncline' })
    plain.root_dir(0, function(found)
      plain.root_dir = found
    end)
    vim.lsp.start(plain)
  end

  local client = wait('the server starts', function()
    local client = vim.lsp.get_clients({ name = 'syncline' })[1]
    return client and client.initialized and client
  end)
  assert(#vim.lsp.get_clients() == 1)
  assert(client.config.root_dir == root, client.config.root_dir)
  local announced = client.server_capabilities.experimental
  assert(announced and announced.syncline.protocol == 1, vim.inspect(announced))

  local fresh = wait('a fresh state', function()
    local last = states[#states]
    return last and last.phase == 'idle' and last.index.fresh and last
  end)
  assert(fresh.codebase.root == vim.uri_from_fname(root), fresh.codebase.root)
  assert(fresh.index.files == 2, vim.inspect(fresh.index))

  write('src/symbols.rs', 'fn a_definition() {}\n')
  request(client, 'syncline/sync', vim.empty_dict())
  local symbols = wait('symbols', function()
    local list = request(client, 'workspace/symbol', { query = 'a_definition' })
    return #list > 0 and list
  end)
  assert(symbols[1].name == 'a_definition', vim.inspect(symbols))
  vim.fn.delete(root .. '/src/symbols.rs')

  local found = search(client, 'needle')
  assert(#found.matches == 1, vim.inspect(found))
  assert(found.matches[1].uri == vim.uri_from_fname(root .. '/src/b.lua'))
  assert(found.matches[1].text == 'local b = "a needle"')
  assert(found.fresh)

  -- A save goes through the queue. No more than ten states a second are sent, so a quick save may end before the state in
  -- which it waited is due: it is saved until one shows.
  wait('the deleted file is gone from the index', function()
    local last = states[#states]
    return last.phase == 'idle' and last.index.fresh and last.index.files == 2
  end)
  local shows = false
  for save = 1, 100 do
    local before, generation = #states, states[#states].index.generation
    vim.api.nvim_buf_set_lines(0, 0, -1, false, { ('local a = "saved %d, ünicode, then a needle"'):format(save) })
    vim.cmd.write()
    wait('a new generation', function()
      local last = states[#states]
      return last.phase == 'idle' and last.index.fresh and last.index.generation > generation
    end)
    shows = vim.iter(states):skip(before):any(function(state)
      return state.phase == 'waiting' or state.phase == 'syncing'
    end)
    if shows then
      break
    end
  end
  assert(shows, 'the save shows in the states: ' .. vim.inspect(states))
  found = search(client, 'needle')
  assert(#found.matches == 2, vim.inspect(found))
  -- Columns are in the encoding that was agreed on, as Neovim's own functions take them.
  local range = found.matches[1].range
  local line = vim.api.nvim_buf_get_lines(0, range.start.line, range.start.line + 1, false)[1]
  local function bytes(column)
    if is_011 then
      return vim.str_byteindex(line, client.offset_encoding, column)
    end
    return vim.str_byteindex(line, column, client.offset_encoding == 'utf-16')
  end
  local start, finish = bytes(range.start.character), bytes(range['end'].character)
  assert(line:sub(start + 1, finish) == 'needle', line:sub(start + 1, finish))

  -- What isn't saved is found too.
  vim.api.nvim_buf_set_text(0, 0, 0, 0, 5, { 'unsaved', 'local' })
  found = search(client, 'unsaved')
  assert(#found.matches == 1, vim.inspect(found))
  assert(found.matches[1].text == 'unsaved' and found.matches[1].range.start.line == 0)

  local outcome = request(client, 'syncline/sync', vim.empty_dict())
  assert(outcome.outcome == 'synced', vim.inspect(outcome))

  -- Work that takes a while shows as progress. What a while is depends on the machine, so there is more each time.
  for round = 1, 5 do
    for index = 1, 2000 * 2 ^ round do
      write(
        ('many/%d/%d-%d.txt'):format(index % 50, round, index),
        ('%d words, round %d\n'):format(index, round):rep(20)
      )
    end
    request(client, 'syncline/sync', vim.empty_dict())
    local generation = states[#states].index.generation
    request(client, 'workspace/executeCommand', { command = 'syncline.rebuild', arguments = {} })
    wait('the index is built anew', function()
      local last = states[#states]
      return last.phase == 'idle' and last.index.fresh and last.index.generation ~= generation
    end)
    if vim.list_contains(progress, 'begin') then
      break
    end
  end
  wait('progress, and its end', function()
    return vim.list_contains(progress, 'begin') and vim.list_contains(progress, 'end')
  end)

  -- A clean end.
  local id = client.id
  if is_011 then
    client:stop()
  else
    client.stop()
  end
  wait('the server ends', function()
    return vim.lsp.get_client_by_id(id) == nil
  end)
end

local passed, message = xpcall(test, debug.traceback)
vim.fn.delete(scratch, 'rf')
if not passed then
  io.stderr:write(tostring(message) .. '\n')
end
os.exit(passed and 0 or 1)
