-- The picker by typed keys, and what its screen shows.

local here = vim.fs.dirname(assert(vim.uv.fs_realpath(debug.getinfo(1, 'S').source:sub(2))))
package.path = here .. '/support/?.lua;' .. package.path
local suite = require('suite')
local test, equal, contains = suite.test, suite.equal, suite.contains

local FILES = {
  ['README.md'] = '# about a needle\n',
  ['a.lua'] = 'local a = 1\nlocal needle = a\n',
  ['src/b.lua'] = 'local x = "Needle needle"\n\n\treturn needles(x)\n',
  ['src/c.rs'] = 'fn needle_eye() {}\n',
}

---@return Child, string
local function open(files, options, child_options)
  local child, root = suite.open(files or FILES, options, child_options)
  child:type(':Syncline search<CR>')
  child:wait_screen('Search in tree')
  return child, root
end

--- The screen's rows of the list: what is between its frame's left and right.
local function list(child)
  local rows = child:lua([[
    for _, window in ipairs(vim.api.nvim_list_wins()) do
      local bufnr = vim.api.nvim_win_get_buf(window)
      if vim.bo[bufnr].filetype == 'syncline-list' then return vim.api.nvim_buf_get_lines(bufnr, 0, -1, false) end
    end]])
  return vim.tbl_map(function(row)
    return (row:gsub('%s+$', ''))
  end, rows)
end

local function wait_closed(child)
  child:wait('closed', function()
    return child:lua('return #vim.api.nvim_list_wins()') == 1
  end)
end

--- Waits until the list is this.
local function wait_list(child, expected)
  child:wait('the list: ' .. vim.inspect(expected), function()
    return vim.deep_equal(list(child), expected)
  end)
end

test('what is typed is found, by file, with a preview, aligned', function()
  local child, root = open()
  contains(child:screen_text(), 'type to search')
  contains(child:screen_text(), 'all; src *.rs !tests')
  contains(child:screen_text(), 'tree: 4 files')
  contains(child:screen_text(), 'up to date')
  child:type('needle')
  child:wait_screen('6 matches in 4 files')
  equal(list(child), {
    ' README.md',
    '      1  # about a needle',
    ' a.lua',
    '      2  local needle = a',
    ' src/b.lua',
    '      1  local x = "Needle needle"',
    '      3  return needles(x)',
    ' src/c.rs',
    '      1  fn needle_eye() {}',
  })
  child:wait_screen('  1 # about a needle')
  -- Every frame ends where the one above it does.
  local edges = {}
  for _, row in ipairs(child:screen()) do
    local text = row:match('╭.*╮') or row:match('╰.*╯')
    if text then
      edges[vim.fn.strdisplaywidth(text)] = true
    end
  end
  equal(vim.tbl_count(edges), 1, 'widths of frames')
  -- Down over a heading, and open.
  child:type('<C-n><Down>')
  child:wait_screen('╭ src/b.lua')
  child:type('<C-p><CR>')
  child:wait('the file', function()
    return child:lua('return vim.api.nvim_buf_get_name(0)') == root .. '/a.lua'
  end)
  child:wait('the place', function()
    return vim.deep_equal(child:lua('return vim.api.nvim_win_get_cursor(0)'), { 2, 6 })
  end)
  equal(child:mode().mode, 'n', 'mode')
  equal(child:lua('return #vim.api.nvim_list_wins()'), 1, 'windows')
  child:stop()
end)

test('Enter opens the first of what is typed, however soon', function()
  for _, sent in ipairs({ 'needles<CR>', 'n|eedles<CR>', 'needle_eye<BS><BS><BS><BS>s<CR>' }) do
    local child, root = open()
    local before, after = sent:match('^(.*)|(.*)$')
    if before then
      -- What is shown now is of a part of it.
      child:type(before)
      child:wait_screen('matches in 4 files')
    end
    child:type(after or sent)
    child:wait('the file', function()
      return child:lua('return vim.api.nvim_buf_get_name(0)') == root .. '/src/b.lua'
    end)
    equal(child:lua('return vim.api.nvim_win_get_cursor(0)'), { 3, 8 }, 'place')
    child:stop()
  end
end)

test('Enter waits for what is typed while more of what was typed before comes in', function()
  local files = { ['z/last.lua'] = 'needles\n' }
  for index = 1, 40 do
    files[('many/f%d.txt'):format(index)] = ('no\n'):rep(5000)
  end
  local child, root = open(files, { picker = { max_results = 200000 } })
  child:type('n')
  child:wait_screen('matches in')
  child:type('eedles<CR>')
  child:wait('the file', function()
    return child:lua('return vim.api.nvim_buf_get_name(0)') == root .. '/z/last.lua'
  end)
  child:stop()
end)

test('keys behind the command that opens it are for it, also while its server starts', function()
  local root = suite.tree(FILES)
  local child = suite.child()
  child:type(':edit ' .. root .. '/a.lua<CR>:Syncline search<CR>needle')
  child:wait_screen('6 matches in 4 files')
  child:type('<C-c>')
  wait_closed(child)
  equal(child:lua('return vim.bo.modified'), false, 'modified')
  child:stop()
end)

test('help may be read while matches come in; so may the picker be opened anew', function()
  local files = {}
  for index = 1, 40 do
    files[('many/f%d.txt'):format(index)] = ('no\n'):rep(1000)
  end
  files['a.lua'] = 'one\n'
  local child = open(files, { picker = { max_results = 200000 } })
  child:lua([[vim.keymap.set({ 'n', 'i' }, '<F5>', function() require('syncline').search('one') end)]])
  child:type('n')
  child:wait_screen('matches in')
  child:type('<F1>')
  child:wait_screen('<CR>          open')
  child:wait_screen('40,001 matches in 41 files')
  child:type('<F1>')
  child:wait_screen('1  one')
  child:type('<F5>')
  wait_list(child, { ' a.lua', '      1  one' })
  equal(child:mode().mode, 'i', 'mode')
  child:type('<C-c>')
  wait_closed(child)
  equal(child:said(), {}, 'complaints')
  child:type('q:<F5>')
  child:wait_said('no other window can be opened beside the command%-line window')
  child:type('<C-c><C-c>')
  child:stop()
end)

test('filters: regex, case, words, files', function()
  local child = open()
  child:type('Needle')
  wait_list(child, { ' src/b.lua', '      1  local x = "Needle needle"' })
  child:type('<M-c><M-c>')
  child:wait_screen('case: ignored')
  child:wait_screen('6 matches in 4 files')
  child:type('<M-w>')
  child:wait_screen('whole words')
  child:wait_screen('4 matches in 3 files')
  child:type('<M-w><M-r><C-u>')
  child:type('<Esc>0Dine{2}dles?.x<Esc>')
  child:wait_screen('regex')
  wait_list(child, { ' src/b.lua', '      3  return needles(x)' })
  child:type('0Cneedle<M-g>')
  child:type('*.rs')
  wait_list(child, { ' src/c.rs', '      1  fn needle_eye() {}' })
  child:type('<Esc>ccsrc !*.rs')
  wait_list(child, { ' src/b.lua', '      1  local x = "Needle needle"', '      3  return needles(x)' })
  child:type('<M-g>_eye')
  child:wait_screen('Nothing found for “needle_eye”.')
  child:wait_screen('<M-g>   Only in src !*.rs.')
  child:stop()
end)

test('nothing found says which filters are on; a bad pattern says what is wrong', function()
  local child = open()
  child:type('Nowhere')
  child:wait_screen('Nothing found for “Nowhere”.')
  child:wait_screen('<M-c>   Upper and lower case count.')
  child:type('<M-r>(')
  child:wait_screen('can’t search')
  contains(table.concat(list(child), '\n'), 'unclosed group')
  child:type('<F1>')
  child:wait_screen('<CR>          open')
  child:type('<F1>')
  child:wait_screen('unclosed group')
  child:type('<Esc><Esc>')
  wait_closed(child)
  child:stop()
end)

test('opens in splits, vertical splits and tabs', function()
  local child = open()
  for key, expected in vim.spairs({ ['<C-x>'] = { 'col', 1 }, ['<C-v>'] = { 'row', 1 }, ['<C-t>'] = { 'leaf', 2 } }) do
    if key ~= '<C-t>' then
      child:command('silent! tabonly | silent! only')
    end
    child:command('Syncline search eye')
    child:wait_screen('1 match in 1 file')
    child:type(key)
    child:wait('the file', function()
      return vim.endswith(child:lua('return vim.api.nvim_buf_get_name(0)'), 'src/c.rs')
    end)
    equal(child:lua('return { vim.fn.winlayout()[1], vim.fn.tabpagenr("$") }'), expected, key)
    child:command('silent! tabonly | silent! only')
  end
  child:stop()
end)

test('all matches go to the quickfix list, shown or not', function()
  local lines = {}
  for index = 1, 300 do
    lines[index] = 'needle ' .. index
  end
  local child = open({ ['a.lua'] = table.concat(lines, '\n') .. '\n' }, { picker = { max_results = 50 } })
  child:type('needle')
  child:wait_screen('50+ matches in 1 file')
  child:type('<C-q>')
  child:wait_said('300 matches in 1 file')
  equal(child:lua('return { #vim.fn.getqflist(), vim.fn.getqflist({ title = 0 }).title }'), { 300, 'Syncline: needle' })
  child:command('cc 7')
  equal(child:lua('return vim.api.nvim_win_get_cursor(0)'), { 7, 0 }, 'place')
  child:command('Syncline search')
  child:wait_screen('Search in tree')
  child:type('needle 29<C-q>')
  child:wait_said('11 matches in 1 file')
  equal(child:lua('return #vim.fn.getqflist()'), 11, 'matches')
  child:stop()
end)

test('unsaved text is found, and shown in the preview', function()
  local child = open()
  child:type('<C-c>')
  wait_closed(child)
  child:type('onot saved yet<Esc>:Syncline search saved<CR>')
  child:wait_screen('1 match in 1 file')
  child:wait_screen('  2 not saved yet')
  child:stop()
end)

test('matches keep their columns: tabs, wide letters, long lines', function()
  local long = ('x'):rep(3000) .. 'größe-needle' .. ('y'):rep(3000)
  local child = open({ ['a.lua'] = '\t\tlocal größe = "needle"\n' .. long .. '\n' })
  child:type('needle')
  child:wait_screen('2 matches in 1 file')
  local rows = list(child)
  equal(rows[2], '      1  local größe = "needle"', 'row')
  contains(rows[3], '…')
  contains(rows[3], 'größe-needle')
  local marked = child:lua([[
    local bufnr = vim.tbl_filter(function(bufnr) return vim.bo[bufnr].filetype == 'syncline-list' end,
      vim.api.nvim_list_bufs())[1]
    local marks = vim.api.nvim_buf_get_extmarks(bufnr, vim.api.nvim_get_namespaces()['syncline-picker'], 0, -1,
      { details = true })
    local texts = {}
    for _, mark in ipairs(marks) do
      if mark[4].hl_group == 'SynclineMatch' then
        local line = vim.api.nvim_buf_get_lines(bufnr, mark[2], mark[2] + 1, false)[1]
        table.insert(texts, line:sub(mark[3] + 1, mark[4].end_col))
      end
    end
    return texts]])
  equal(marked, { 'needle', 'needle' }, 'what is marked')
  child:type('<C-n><CR>')
  child:wait('the place', function()
    return vim.deep_equal(child:lua('return vim.api.nvim_win_get_cursor(0)'), { 2, 3000 + #'größe-' })
  end)
  child:stop()
end)

test('a preview that has no room is left out; the screen may change', function()
  local child = open(nil, nil, { columns = 60, lines = 20 })
  child:type('needle')
  child:wait_screen('6 matches in 4 files')
  equal(child:screen_text():find('╭ README.md', 1, true), nil, 'preview')
  child:command('set columns=120 lines=40')
  child:wait_screen('╭ README.md')
  child:type('<M-p>')
  child:wait('no preview', function()
    return not child:screen_text():find('╭ README.md', 1, true)
  end)
  child:stop()
end)

test('many matches stream in; typing on replaces them', function()
  local files = {}
  for index = 1, 200 do
    files[('d%d/f%d.txt'):format(index % 7, index)] = ('needle one\n'):rep(20)
  end
  files['a.lua'] = 'needle two\n'
  local child = open(files)
  child:type('needle')
  child:wait_screen('2,000+ matches in 101 files')
  child:type(' two')
  wait_list(child, { ' a.lua', '      1  needle two' })
  child:stop()
end)

test('leaving it closes it; so does the end of its server, in words', function()
  -- Wide, for the line in which Neovim reports the end of a server.
  local child = open(nil, nil, { columns = 300 })
  child:type('needle')
  child:wait_screen('6 matches in 4 files')
  child:lua([[
    require('syncline.client').RESTART_DELAY_MS = 60000
    for _, pid in ipairs(vim.api.nvim_get_proc_children(vim.fn.getpid())) do
      local info = vim.api.nvim_get_proc(pid)
      if info and info.name:find('syncline') then vim.uv.kill(pid, 'sigkill') end
    end]])
  child:wait_screen('The server has ended.')
  child:lua('vim.api.nvim_set_current_win(vim.fn.win_getid(1))')
  wait_closed(child)
  child:stop()
end)

test('keys may be others, or none', function()
  local child = open(nil, { picker = { keys = { toggle_word = '<C-w>', toggle_regex = false, close = '<C-g>' } } })
  child:type('needle<C-w>')
  child:wait_screen('whole words')
  child:type('<F1>')
  child:wait_screen('<C-w>         whole words')
  equal(child:screen_text():find('regex or plain', 1, true), nil, 'a key that was taken away')
  child:type('<C-g>')
  wait_closed(child)
  child:stop()
end)

suite.run()
