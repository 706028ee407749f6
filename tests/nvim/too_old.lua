-- A Neovim that is too old: the plugin says so once, and does nothing else. TEST_NVIM_OLD names such a program.

local here = vim.fs.dirname(assert(vim.uv.fs_realpath(debug.getinfo(1, 'S').source:sub(2))))
package.path = here .. '/support/?.lua;' .. package.path
local suite = require('suite')
local test, equal = suite.test, suite.equal

local old = assert(os.getenv('TEST_NVIM_OLD'), 'TEST_NVIM_OLD names a Neovim before 0.10')

test('a Neovim before 0.10', function()
  local root = suite.tree({ ['a.txt'] = 'text\n' })
  local child = suite.child(nil, { program = old })
  child:command('edit ' .. root .. '/a.txt')
  equal(child:said(), {
    'syncline: Neovim 0.10 or newer is needed; this one is older, so the plugin does nothing',
  }, 'what was said')
  equal(child:lua('return vim.fn.exists(":Syncline")'), 0, 'the command')
  equal(child:lua('return #vim.lsp.get_active_clients()'), 0, 'servers')
  child:command('checkhealth syncline')
  local report = child:lua('return table.concat(vim.api.nvim_buf_get_lines(0, 0, -1, false), "\\n")')
  assert(report:find('is too old: 0.10 or newer is needed', 1, true), report)
  child:stop()
end)

suite.run()
