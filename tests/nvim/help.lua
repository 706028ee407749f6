-- `:help syncline` is complete: what there is in the code is in the help file, and the other way.

local here = vim.fs.dirname(assert(vim.uv.fs_realpath(debug.getinfo(1, 'S').source:sub(2))))
package.path = here .. '/support/?.lua;' .. package.path
local suite = require('suite')
local test, equal, contains = suite.test, suite.equal, suite.contains

local plugin = require('child').plugin
vim.opt.runtimepath:prepend(plugin)
local config = require('syncline.config')

local file = assert(io.open(plugin .. '/doc/syncline.txt'))
local help = file:read('*a')
file:close()

--- Names that the help has tags for, by what a tag begins with.
local function tags(prefix)
  local found = {}
  for tag in help:gmatch('%*(%S+)%*') do
    if vim.startswith(tag, prefix) then
      found[#found + 1] = tag:sub(#prefix + 1)
    end
  end
  table.sort(found)
  return found
end

local function sorted(names)
  table.sort(names)
  return names
end

test('commands', function()
  equal(tags(':Syncline-'), sorted(vim.tbl_keys(require('syncline.commands').subcommands)), 'subcommands')
  for _, flag in ipairs(require('syncline.commands').subcommands.search.complete) do
    contains(help, '                          ' .. flag .. ' ')
  end
end)

test('options and their defaults', function()
  local names = { 'border', 'cmd', 'root_markers' } -- Their default is nil.
  for name, value in pairs(config.defaults) do
    if name == 'search' or name == 'picker' then
      for inner in pairs(value) do
        names[#names + 1] = name .. '.' .. inner
      end
    else
      names[#names + 1] = name
    end
  end
  equal(tags('syncline-option-'), sorted(names), 'options')

  -- The sample of the defaults is what counts without it.
  local sample = assert(help:match("require%('syncline'%)%.setup%((%b{})%)"))
  local given = assert(loadstring('return ' .. sample))()
  for name, value in pairs(config.defaults) do
    if name == 'search' or name == 'picker' then
      for inner, default in pairs(value) do
        if inner ~= 'keys' then
          equal(given[name][inner], default, name .. '.' .. inner)
        end
      end
    elseif name ~= 'signs' then
      equal(given[name], value, name)
    end
  end
end)

test('keys and signs', function()
  for name, keys in pairs(config.defaults.picker.keys) do
    local shown = type(keys) == 'table' and table.concat(keys, ' ') or keys
    contains(help, ('\n    %-18s%-17s '):format(name, shown))
  end
  local section = assert(help:match('%*syncline%-picker%*.-\n='))
  local count = select(2, section:gsub('\n    %l[%l_]+ +<', ''))
  equal(count, vim.tbl_count(config.defaults.picker.keys), 'keys that the help names')
  for name, sign in pairs(config.defaults.signs) do
    contains(help, ('\n        %-12s%s '):format(name, sign))
  end
end)

test('highlights', function()
  local links = require('syncline.highlights').links
  equal(tags('hl-'), sorted(vim.tbl_keys(links)), 'groups')
  for name, target in pairs(links) do
    local said = help:match('\n' .. name .. ' +([^;]+);')
    assert(said == ('|hl-%s|'):format(target) or said == ('`%s`'):format(target), name .. ': ' .. tostring(said))
  end
end)

test('functions and mappings', function()
  local names = {}
  for name in pairs(require('syncline')) do
    names[#names + 1] = name .. '()'
  end
  names[#names + 1] = 'txt' -- `syncline.txt`, the file itself
  equal(tags('syncline.'), sorted(names), 'functions')
  local child = suite.child()
  local mapped = child:lua(
    [[return vim.tbl_map(function(map) return map.lhs end,
    vim.tbl_filter(function(map) return vim.startswith(map.lhs, '<Plug>(syncline-') end, vim.api.nvim_get_keymap('n')))]]
  )
  equal(
    tags('<Plug>'),
    sorted(vim.tbl_map(function(lhs)
      return lhs:sub(#'<Plug>' + 1)
    end, mapped)),
    'mappings'
  )
  child:stop()
end)

test('helptags are made of it, and every link leads somewhere', function()
  local copy = suite.folder()
  suite.write(copy .. '/doc/syncline.txt', help)
  vim.cmd.helptags(copy .. '/doc')
  vim.opt.runtimepath:prepend(copy)
  for link in help:gmatch('|([^|%s]+)|') do
    local known = pcall(vim.cmd.help, link)
    -- What is said of newer versions has no help in older ones.
    assert(known or vim.fn.has('nvim-0.11') == 0, 'no help for |' .. link .. '|')
  end
  for line in help:gmatch('[^\n]+') do
    assert(vim.fn.strdisplaywidth(line) <= 85, 'too wide: ' .. line)
  end
end)

suite.run()
