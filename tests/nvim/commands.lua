-- `:Syncline`: every subcommand, completion, counts, bangs, and bad input.

local here = vim.fs.dirname(assert(vim.uv.fs_realpath(debug.getinfo(1, 'S').source:sub(2))))
package.path = here .. '/support/?.lua;' .. package.path
local suite = require('suite')
local test, equal, contains = suite.test, suite.equal, suite.contains

local FILES = {
  ['a.lua'] = 'local a = "needle"\nlocal Needle = "a needle"\n',
  ['src/b.rs'] = 'fn needle() {}\n',
  ['src/c.rs'] = 'fn needles() {}\n',
}

---@return Child, string
local function open(options, child_options)
  return suite.open(FILES, options, child_options)
end

--- They are read after the index is up to date.
local function wait_symbols(child)
  child:wait_lua('symbols', 'return (require("syncline").state().index.symbols or 0) >= 2')
end

local function quickfix(child)
  return child:lua([[return vim.tbl_map(function(item)
    return ('%s:%d:%d:%s'):format(vim.fn.fnamemodify(vim.api.nvim_buf_get_name(item.bufnr), ':t'), item.lnum, item.col,
      item.text)
  end, vim.fn.getqflist())]])
end

test('search to the quickfix list, with flags and a count', function()
  local child = open()
  local cases = {
    { 'needle', 'needle', 5 },
    { '-s needle', 'needle, case counts', 4 },
    { '-w -s needle', 'needle, whole words, case counts', 3 },
    { '-i NEEDLE', 'NEEDLE', 5 },
    { '-e ne+dle[s]', '/ne+dle[s]/', 1 },
    { '-g *.rs needle', 'needle, in *.rs', 2 },
    { '-g !*.rs -g !c.* needle', 'needle, in !*.rs !c.*', 3 },
    { '-- a needle', 'a needle', 1 },
    { 'a needle', 'a needle', 1 },
  }
  for _, case in ipairs(cases) do
    child:forget_said()
    child:command('Syncline! search ' .. case[1])
    child:wait_said('matche?s? in')
    equal(child:lua('return vim.fn.getqflist({ title = 0 }).title'), 'Syncline: ' .. case[2], 'title')
    equal(#quickfix(child), case[3], case[1])
  end
  equal(quickfix(child), { 'a.lua:2:17:local Needle = "a needle"' }, 'list')
  child:forget_said()
  child:command('Syncline! search -m 2 needle')
  child:wait_said('2 matches in 1 file; there are more')
  equal(#quickfix(child), 2, 'count')
  child:forget_said()
  child:command('Syncline! search nowhere')
  child:wait_said('nothing found for nowhere')
  child:stop()
end)

test('a list that comes while one types interrupts nobody', function()
  local child, root = open()
  child:type(':Syncline! search needle<CR>Ahello')
  child:wait_said('5 matches')
  child:type(' you<Esc>')
  child:wait('the text', function()
    return child:lua('return vim.api.nvim_get_current_line()') == 'local a = "needle"hello you'
  end)
  equal(child:lua('return vim.api.nvim_buf_get_name(0)'), root .. '/a.lua', 'where one is')
  equal(#quickfix(child), 5, 'matches')
  child:stop()
end)

test('what a search streams is no progress to others', function()
  local child = open()
  -- Of the first index, which may have been worth a progress bar.
  child:lua('vim.lsp.status()')
  child:lua([[_G.strange = 0
    vim.api.nvim_create_autocmd('LspProgress', { callback = function(event)
      if not event.data.params.value.kind then _G.strange = _G.strange + 1 end
    end })]])
  child:command('Syncline! search needle')
  child:wait_said('5 matches')
  equal(child:lua('return { _G.strange, vim.lsp.status() }'), { 0, '' }, 'progress')
  child:stop()
end)

test('search for what is selected, and for the word under the cursor', function()
  local child = open()
  child:type('gg0wvf=:Syncline search<CR>')
  child:wait_screen('│a =')
  child:wait_screen('1 match in 1 file')
  child:type('<Esc><Esc>')
  child:lua([[vim.keymap.set('n', 'gw', '<Plug>(syncline-word)') vim.keymap.set('x', 'gs', '<Plug>(syncline-search)')
    vim.keymap.set('n', 'gq', '<Plug>(syncline-queue)')]])
  child:type('G0wgw')
  child:wait_screen('│Needle')
  child:wait_screen('whole words')
  child:wait_screen('1 match in 1 file')
  child:type('<Esc><Esc>gg0fnviwgs')
  child:wait_screen('5 matches in 3 files')
  child:type('<Esc><Esc>gq')
  child:wait_screen('╭ Queue ')
  child:type('q')
  child:stop()
end)

test('a count before a mapping bounds what is found', function()
  local child = open()
  child:lua([[vim.keymap.set('n', 'gw', '<Plug>(syncline-word)') vim.keymap.set('n', 'gs', '<Plug>(syncline-search)')
    vim.keymap.set('n', 'gm', '<Plug>(syncline-symbols)')]])
  wait_symbols(child)
  child:type('gg0fn1gw')
  child:wait_screen('1+ match in 1 file')
  child:type('<Esc><Esc>2gsneedle')
  child:wait_screen('2+ matches in 1 file')
  child:type('<Esc><Esc>1gmneedle')
  child:wait_screen('1+ definition')
  child:type('<Esc><Esc>')
  child:stop()
end)

test('symbols: definitions, or a sentence where the server has none', function()
  local child = open()
  wait_symbols(child)
  child:type(':Syncline symbols needle<CR>')
  child:wait_screen('Symbols in tree')
  child:wait_screen('src/b.rs:1')
  child:wait_screen('Function')
  child:type('<CR>')
  child:wait('the definition', function()
    return vim.endswith(child:lua('return vim.api.nvim_buf_get_name(0)'), 'src/b.rs')
  end)
  child:command('Syncline! symbols needle')
  child:wait('the list', function()
    return child:lua('return vim.fn.getqflist({ title = 0 }).title') == 'Syncline: symbols needle'
  end)
  equal(quickfix(child)[1], 'b.rs:1:4:Function needle', 'the best')
  child:command('Syncline! symbols -m 1 needle')
  child:wait_said('1 definition; there are more')
  equal(#quickfix(child), 1, 'count')
  child:command('Syncline! symbols -w needle')
  child:wait_said('there is no flag %-w; `%-%-` ends the flags')
  child:command('Syncline! symbols nowhere')
  child:wait_said('no definition found for nowhere')

  -- As an old server.
  child:lua([[vim.lsp.get_clients({ name = 'syncline' })[1].server_capabilities.workspaceSymbolProvider = nil]])
  child:command('Syncline! symbols needle')
  child:wait_said('this version of syncline knows no symbols yet; update it')
  child:command('cclose')
  child:type(':Syncline symbols needle<CR>')
  child:wait_screen('this version of syncline knows no symbols')
  child:type('<Esc><Esc>')
  child:stop()
end)

test('status, sync, pause, resume, rebuild', function()
  local child = open()
  child:command('Syncline status')
  child:wait('one line', function()
    return child
      :lua('return vim.fn.execute("messages")')
      :match('✓ tree: up to date · 3 files, [^\n]+ · synced 3 files in [^\n]+ ago')
  end)
  child:command('Syncline sync')
  child:wait_said('^syncline: tree: synced %d files? in %d+ m?s$')
  child:command('Syncline pause')
  child:wait_said('^syncline: tree: paused; answers stay right$')
  child:wait_lua('paused', 'return require("syncline").state().phase == "paused"')
  child:command('Syncline resume')
  child:wait_said('^syncline: tree: goes on$')
  child:wait_fresh()
  local generation = child:wait_fresh().index.generation
  child:type(':Syncline rebuild<CR>')
  child:wait_question()
  child:type('y')
  child:wait_said('^syncline: tree: the index is built anew$')
  child:wait_lua('anew', 'return require("syncline").state().index.generation ~= ...', generation)
  child:wait_fresh()
  child:stop()
end)

test('with a bang, all codebases', function()
  local child = open()
  local other = suite.tree({ ['x.txt'] = 'x\n' }, 'other')
  child:command('edit ' .. other .. '/x.txt')
  child:wait_fresh()
  child:command('Syncline! sync')
  child:wait_said('tree: synced')
  child:wait_said('other: synced')
  child:wait_fresh()
  local shown = child:lua('return vim.fn.execute("Syncline! status")')
  contains(shown, 'tree: ')
  contains(shown, '✓ other: ')
  child:stop()
end)

test('log and restart', function()
  local child = open()
  child:command('Syncline log')
  child:wait_screen('lsp.log')
  child:type('q')
  child:command('Syncline restart')
  child:wait_said('started again')
  child:wait_fresh()
  child:stop()
end)

test('completion', function()
  local child = open()
  local function complete(line)
    return child:lua('return vim.fn.getcompletion(..., "cmdline")', line)
  end
  equal(complete('Syncline '), {
    'log',
    'pause',
    'queue',
    'rebuild',
    'restart',
    'resume',
    'search',
    'status',
    'symbols',
    'sync',
  }, 'subcommands')
  equal(complete('Syncline re'), { 'rebuild', 'restart', 'resume' }, 'subcommands')
  equal(complete('Syncline! search -'), { '-F', '-S', '-e', '-g', '-i', '-m', '-s', '-w' }, 'flags')
  child:command('normal! gg0')
  equal(complete('Syncline search '), { 'local' }, 'the word under the cursor')
  equal(complete('Syncline queue '), {}, 'nothing')
  child:stop()
end)

test('bad input is one clear sentence', function()
  local child = open(
    { search = { case = 'loud' }, picker = { widht = 1, width = 2, keys = { open = 1 } }, signs = 'x' },
    {
      before = 'vim.o.cmdheight = 12',
    }
  )
  for _, pattern in ipairs({
    'option search.case: expected one of smart, sensitive, ignore, got loud',
    'there is no option `picker.widht`; see :help syncline%-options',
    'option picker.width: expected a number above 0, at most 1, got 2',
    'option picker.keys.open: expected a key, a list of keys, or false, got 1',
    'option `signs` is to be a table, not "x"',
  }) do
    child:wait_said(pattern)
  end
  equal(child:lua('return require("syncline.config").get().picker.width'), 0.9, 'the default')
  for command, pattern in pairs({
    ['Syncline serch'] = 'there is no `:Syncline serch`; there are ',
    ['Syncline! search'] = '`:Syncline! search` wants what to find behind it',
    ['Syncline search -x a'] = 'there is no flag %-x; `%-%-` ends the flags',
    ['Syncline search -g'] = '%-g wants a glob behind it',
    ['Syncline search -m x'] = '%-m wants a number behind it, 1 or more',
    ['Syncline log x'] = '`:Syncline log` wants a number of lines, or nothing',
    ['Syncline! search -e ('] = 'unclosed group',
  }) do
    child:command(command)
    child:wait_said(pattern)
  end
  child:command('edit ' .. suite.folder() .. '/outside')
  child:command('cd ' .. suite.folder())
  child:command('bwipeout! a.lua')
  child:command('Syncline restart')
  child:wait_said('started again')
  child:command('Syncline sync')
  child:wait_said('no codebase above this file or the current folder; :help syncline%-start')
  child:command('Syncline! pause')
  child:wait_said('no codebase is open')
  child:stop()
end)

test(':grep uses the index', function()
  local child, root = open({ grepprg = true }, { cwd = suite.folder() })
  equal(child:lua('return vim.o.grepprg'), suite.binary .. ' search --vimgrep', 'grepprg')
  child:command('cd ' .. root)
  child:command('silent grep -w needle')
  equal(quickfix(child), {
    'a.lua:1:12:local a = "needle"',
    'a.lua:2:19:local Needle = "a needle"',
    'b.rs:1:4:fn needle() {}',
  }, 'list')
  child:command('silent grep needles src/c.rs')
  equal(quickfix(child), { 'c.rs:1:4:fn needles() {}' }, 'in a file')
  child:stop()
  -- Such a search has the shared engine open the codebase for those to come.
  vim.fn.system({ suite.binary, 'daemon', 'stop' })
end)

test('the functions of Lua', function()
  local child = open()
  child:lua([[require('syncline').quickfix({ pattern = 'needle', globs = { '*.rs' } })]])
  child:wait_said('2 matches in 2 files')
  child:command('cclose')
  child:lua([[require('syncline').search('needle')]])
  child:wait_screen('│needle')
  child:type('<Esc><Esc>')
  for _, name in ipairs({ 'sync', 'pause', 'resume' }) do
    child:lua(
      ([[_G.problem = 'not called' require('syncline').%s(function(problem) _G.problem = problem end)]]):format(name)
    )
    child:wait_lua(name, 'return _G.problem == nil')
  end
  child:lua([[require('syncline').queue()]])
  child:wait_screen('╭ Queue ')
  child:type('q')
  child:lua([[require('syncline').symbols('x')]])
  child:wait_screen('Symbols in tree')
  child:type('<Esc><Esc>')
  child:lua([[require('syncline').restart(function() _G.restarted = true end)]])
  child:wait_lua('restarted', 'return _G.restarted')
  child:stop()
end)

suite.run()
