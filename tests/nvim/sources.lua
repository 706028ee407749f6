-- Telescope and lualine, as Debian packages them, and snacks. TEST_NVIM_PLUGINS names the folder that holds the former,
-- TEST_NVIM_SNACKS that of the latter.

local here = vim.fs.dirname(assert(vim.uv.fs_realpath(debug.getinfo(1, 'S').source:sub(2))))
package.path = here .. '/support/?.lua;' .. package.path
local suite = require('suite')
local test, contains = suite.test, suite.contains

local plugins = assert(os.getenv('TEST_NVIM_PLUGINS'), 'TEST_NVIM_PLUGINS names the folder of other plugins')

local snacks = assert(os.getenv('TEST_NVIM_SNACKS'), 'TEST_NVIM_SNACKS names the folder of snacks')

---@return Child
local function open()
  local files = { ['a.lua'] = 'local needle = 1\n', ['src/b.lua'] = 'local x = 1\nlocal y = "needle"\n' }
  local before = {}
  local folders = { snacks }
  for _, name in ipairs({ 'neovim-plenary', 'neovim-telescope', 'nvim-lualine' }) do
    folders[#folders + 1] = plugins .. '/' .. name
  end
  for _, folder in ipairs(folders) do
    assert(vim.uv.fs_stat(folder), 'missing: ' .. folder)
    before[#before + 1] = ('vim.opt.runtimepath:append(%q)'):format(folder)
  end
  return (suite.open(files, nil, { before = table.concat(before, ' ') }))
end

for name, command in pairs({
  telescope = 'Telescope syncline',
  snacks = "lua require('syncline.sources.snacks').search()",
}) do
  test(name .. ' finds as one types, and opens at the place', function()
    local child = open()
    child:type(':' .. command .. '<CR>')
    child:wait_screen('Search in tree')
    child:type('needle')
    child:wait_screen('local needle = 1')
    child:wait_screen('local y = "needle"')
    child:type('<BS><BS><BS>dle"')
    -- While the list is empty, nothing would be chosen.
    child:wait('only one', function()
      local text = child:screen_text()
      return text:find('local y = "needle"', 1, true) and not text:find('a.lua:1', 1, true)
    end)
    child:type('<CR>')
    child:wait('the place', function()
      return vim.deep_equal(child:lua('return vim.api.nvim_win_get_cursor(0)'), { 2, 11 })
    end)
    child:stop()
  end)
end

test('lualine has a component', function()
  local child = open()
  child:lua(
    [[require('lualine').setup({ options = { icons_enabled = false }, sections = { lualine_x = { 'syncline' } } })]]
  )
  child:wait('the sign', function()
    local rows = child:screen()
    return (rows[#rows - 1]):find('✓', 1, true)
  end)
  contains(child:screen()[29], 'a.lua')
  child:stop()
end)

suite.run()
