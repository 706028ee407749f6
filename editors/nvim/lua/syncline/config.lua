--- Options: defaults, then `vim.g.syncline`, then `setup()`. A bad one is named once and its default counts.

local M = {}

---@class syncline.Config: syncline.Options
M.defaults = {
  --- How to start the server. Without it, what `lsp/syncline.lua` and `vim.lsp.config()` say.
  ---@type string[]?
  cmd = nil,
  --- Attach to files below a root by itself.
  autostart = true,
  --- What makes a folder a root; the nearest counts. Without it, what `lsp/syncline.lua` and `vim.lsp.config()` say.
  ---@type string[]?
  root_markers = nil,
  --- The server's settings, as `{ index = { hidden = true } }`.
  settings = {},
  --- Let `:grep` use `syncline search`.
  grepprg = false,
  --- Of floating windows. Without it, 'winborder', or else rounded.
  ---@type (string|string[])?
  border = nil,
  search = {
    case = 'smart',
    regex = false,
    word = false,
    --- Most matches that go to the quickfix list.
    max_results = 10000,
  },
  picker = {
    --- Share of the screen.
    width = 0.9,
    height = 0.85,
    preview = true,
    --- Most matches that are shown.
    max_results = 2000,
    keys = {
      open = '<CR>',
      split = '<C-x>',
      vsplit = '<C-v>',
      tab = '<C-t>',
      quickfix = '<C-q>',
      next = { '<C-n>', '<Down>' },
      previous = { '<C-p>', '<Up>' },
      page_down = '<C-d>',
      page_up = '<C-u>',
      preview_down = '<C-f>',
      preview_up = '<C-b>',
      toggle_regex = '<M-r>',
      toggle_case = '<M-c>',
      toggle_word = '<M-w>',
      globs = '<M-g>',
      toggle_preview = '<M-p>',
      help = '<F1>',
      close = '<C-c>',
    },
  },
  signs = {
    ok = '✓',
    busy = '↻',
    waiting = '…',
    paused = '‖',
    degraded = '!',
    error = '✗',
    off = '–',
  },
}

---@param name string
---@param type string
local function list_of(name, type)
  return {
    function(value)
      return vim.islist(value)
        and #value > 0
        and vim.iter(value):all(function(item)
          return _G.type(item) == type
        end)
    end,
    name,
  }
end

local function one_of(...)
  local words = { ... }
  return {
    function(value)
      return vim.list_contains(words, value)
    end,
    'one of ' .. table.concat(words, ', '),
  }
end

local count = {
  function(value)
    return type(value) == 'number' and value >= 1 and value % 1 == 0
  end,
  'a whole number, 1 or more',
}

local share = {
  function(value)
    return type(value) == 'number' and value > 0 and value <= 1
  end,
  'a number above 0, at most 1',
}

local key = {
  function(value)
    return value == false or type(value) == 'string' or (vim.islist(value) and type(value[1]) == 'string')
  end,
  'a key, a list of keys, or false',
}

--- What each option may be: a type's name, or a test and its words. A table without a test is a group.
local rules = {
  cmd = list_of('a list of strings', 'string'),
  autostart = 'boolean',
  root_markers = list_of('a list of strings', 'string'),
  settings = 'table',
  grepprg = 'boolean',
  border = { 'string', 'table' },
  search = {
    case = one_of('smart', 'sensitive', 'ignore'),
    regex = 'boolean',
    word = 'boolean',
    max_results = count,
  },
  picker = { width = share, height = share, preview = 'boolean', max_results = count, keys = {} },
  signs = {},
}
for name in pairs(M.defaults.picker.keys) do
  rules.picker.keys[name] = key
end
for name in pairs(M.defaults.signs) do
  rules.signs[name] = 'string'
end

--- Whether an entry of `rules` is a group of options.
local function is_group(rule)
  return type(rule) == 'table' and not vim.islist(rule)
end

--- `vim.validate()` takes other arguments before 0.11.
local function validate(name, value, rule)
  local validator, message = rule, nil
  if type(rule) == 'table' and type(rule[1]) == 'function' then
    validator, message = rule[1], rule[2]
  end
  if vim.fn.has('nvim-0.11') == 1 then
    vim.validate(name, value, validator, false, message)
  else
    vim.validate({ [name] = { value, validator, message or false } })
  end
end

--- What is right of `given`; what isn't is added to `problems`.
---@param given table
---@param group table
---@param prefix string
---@param problems string[]
local function checked(given, group, prefix, problems)
  local kept = {}
  for name, value in vim.spairs(given) do
    local full, rule = prefix .. tostring(name), group[name]
    if rule == nil then
      problems[#problems + 1] = ('there is no option `%s`; see :help syncline-options'):format(full)
    elseif is_group(rule) and type(value) ~= 'table' then
      problems[#problems + 1] = ('option `%s` is to be a table, not %s'):format(full, vim.inspect(value))
    elseif is_group(rule) then
      kept[name] = checked(value, rule, full .. '.', problems)
    else
      local ok, reason = pcall(validate, full, value, rule)
      if ok then
        kept[name] = value
      else
        -- Without the place in our own code, which says nothing to who wrote the option.
        problems[#problems + 1] = 'option ' .. tostring(reason):gsub('^.-%.lua:%d+: ', '')
      end
    end
  end
  return kept
end

---@type syncline.Config?
local current
---@type syncline.Options
local from_setup = {}
---@type string[]
local found_problems = {}

local function from_global()
  local given = vim.g.syncline
  if type(given) == 'function' then
    given = given()
  end
  return given or {}
end

--- The options that count.
---@return syncline.Config
function M.get()
  if not current then
    local problems = {}
    current = vim.deepcopy(M.defaults)
    for source, given in vim.spairs({ ['1 vim.g.syncline'] = from_global(), ['2 setup()'] = from_setup }) do
      if type(given) == 'table' then
        current = vim.tbl_deep_extend('force', current, checked(given, rules, '', problems))
      else
        problems[#problems + 1] = ('%s is to be a table of options, not %s'):format(source:sub(3), vim.inspect(given))
      end
    end
    found_problems = problems
    -- Not at once: an error message would end the command that is being run.
    vim.schedule(function()
      for _, problem in ipairs(problems) do
        vim.notify('syncline: ' .. problem, vim.log.levels.ERROR)
      end
    end)
  end
  return current
end

--- What is wrong with the options, a sentence each.
---@return string[]
function M.problems()
  M.get()
  return found_problems
end

--- Takes options; they replace those of an earlier call.
---@param options? syncline.Options
function M.set(options)
  from_setup = options == nil and {} or options
  current = nil
end

--- How floating windows are framed. They have titles, which need a frame.
---@return string|string[]
function M.border()
  local chosen = M.get().border
  if chosen then
    return (chosen == 'none' or chosen == '') and 'solid' or chosen
  end
  -- Neovim 0.11 and newer.
  local known, winborder = pcall(vim.api.nvim_get_option_value, 'winborder', {})
  if not known or winborder == '' or winborder == 'none' then
    return 'rounded'
  end
  return winborder:find(',') and vim.split(winborder, ',') or winborder
end

return M
