--- `:Syncline` and its subcommands.

local client_of = require('syncline.client')
local config = require('syncline.config')
local search = require('syncline.search')
local states = require('syncline.states')
local wording = require('syncline.wording')

local M = {}

---@class syncline.Call
---@field arguments string What follows the subcommand
---@field bang boolean
---@field selection? string What is selected, when there is a range

---@class syncline.Subcommand
---@field run fun(call: syncline.Call)
---@field complete? string[]

--- `tree: ` and a sentence.
local function about(client, state, sentence)
  return ('%s: %s'):format(state and state.codebase.name or client_of.label(client), sentence)
end

--- Runs a command of the server, and says how it went.
---@param client vim.lsp.Client
---@param command 'sync'|'pause'|'resume'|'rebuild'
---@param state? syncline.State Of the codebase that is meant; without it all of the client
---@param done? fun(problem?: string)
function M.act(client, command, state, done)
  client_of.command(client, command, state and state.codebase.id, function(problem, result)
    if problem then
      client_of.notify(about(client, state, problem), vim.log.levels.ERROR)
    elseif command == 'sync' then
      for _, outcome in ipairs(result or {}) do
        local level = outcome.outcome == 'failed' and vim.log.levels.ERROR or vim.log.levels.INFO
        client_of.notify(about(client, state, wording.outcome(outcome)), level)
      end
    else
      local said = {
        pause = 'paused; answers stay right',
        resume = 'goes on',
        rebuild = 'the index is built anew',
      }
      client_of.notify(about(client, state, said[command]))
    end
    if done then
      done(problem)
    end
  end)
end

--- Builds the index anew, when that is really meant.
---@param client vim.lsp.Client
---@param state? syncline.State
function M.rebuild(client, state)
  local question = ('Build the index of %s anew?'):format(state and state.codebase.name or client_of.label(client))
  if vim.fn.confirm(question, '&Yes\n&No', 2) == 1 then
    M.act(client, 'rebuild', state)
  end
end

--- The codebase of the current file, when its client has several.
local function state_here(client)
  return states.at(client.id, vim.api.nvim_buf_get_name(client_of.current_buffer()))
end

---@param command 'sync'|'pause'|'resume'
local function server_command(command)
  return function(call)
    if not call.bang then
      return client_of.with_current(function(client)
        M.act(client, command, state_here(client))
      end)
    end
    local clients = client_of.clients()
    if #clients == 0 then
      client_of.notify('no codebase is open', vim.log.levels.WARN)
    end
    for _, client in ipairs(clients) do
      M.act(client, command)
    end
  end
end

--- What a flag without a word behind it sets.
local SWITCHES = {
  ['-e'] = { 'regex', true },
  ['-F'] = { 'regex', false },
  ['-w'] = { 'word', true },
  ['-i'] = { 'case', 'ignore' },
  ['-s'] = { 'case', 'sensitive' },
  ['-S'] = { 'case', 'smart' },
}

--- The flags of what searches, as ripgrep names them.
local FLAGS = {
  search = { '-e', '-F', '-w', '-i', '-s', '-S', '-g', '-m' },
  symbols = { '-m' },
}

--- Flags, and the pattern: all that follows them, spaces included.
---@param text string
---@param flags string[] Those that are known
---@return string pattern, table given, string? problem
function M.parse(text, flags)
  local given = { globs = {} }
  local rest = text
  while true do
    local flag, after = rest:match('^%s*(%-%S*)%s*(.*)$')
    if flag == nil then
      return rest:match('^%s*(.*)$'), given
    elseif flag == '--' then
      return after, given
    elseif not vim.list_contains(flags, flag) then
      return '', given, ('there is no flag %s; `--` ends the flags'):format(flag)
    elseif flag == '-g' then
      local glob, remaining = after:match('^(%S+)%s*(.*)$')
      if not glob then
        return '', given, '-g wants a glob behind it'
      end
      table.insert(given.globs, glob)
      after = remaining
    elseif flag == '-m' then
      local most, remaining = after:match('^([1-9]%d*)%f[%s%z]%s*(.*)$')
      if not most then
        return '', given, '-m wants a number behind it, 1 or more'
      end
      given.max_results = tonumber(most)
      after = remaining
    else
      given[SWITCHES[flag][1]] = SWITCHES[flag][2]
    end
    rest = after
  end
end

--- Opens the picker, or fills the quickfix list.
---@param name 'search'|'symbols'
local function find(name)
  return function(call)
    local pattern, given, problem = M.parse(call.arguments, FLAGS[name])
    if problem then
      return client_of.notify(problem, vim.log.levels.ERROR)
    elseif call.selection then
      pattern, given.regex = call.selection, false
    end
    local query = search.query(pattern, given)
    if call.bang and pattern == '' then
      return client_of.notify(('`:Syncline! %s` wants what to find behind it'):format(name), vim.log.levels.ERROR)
    end
    if not call.bang then
      return client_of.find_current(function(client)
        require('syncline.picker').start(name, client, query)
      end)
    end
    client_of.with_current(function(client)
      if name == 'search' then
        search.to_quickfix(client, query)
      else
        require('syncline.symbols').to_quickfix(client, query)
      end
    end)
  end
end

--- One line about a codebase.
local function status_chunks(client, state)
  if not state then
    return { { client_of.label(client), 'SynclineTitle' }, { ': starting' } }
  end
  local words = wording.state(state)
  local sign = config.get().signs[words.sign]
  local chunks = {
    { sign .. ' ', words.highlight },
    { state.codebase.name },
    { ': ' },
    { words.long, words.highlight },
    { ' · ' .. wording.index(state.index) },
  }
  if state.lastSync then
    local last = state.lastSync
    chunks[#chunks + 1] = { (' · %s, %s ago'):format(wording.outcome(last), wording.age(last.finishedAt)) }
  end
  if state.message then
    chunks[#chunks + 1] = { ' · ' .. state.message, 'SynclineWarn' }
  end
  return chunks
end

local function status(call)
  if not call.bang then
    return client_of.with_current(function(client)
      vim.api.nvim_echo(status_chunks(client, state_here(client)), true, {})
    end)
  end
  local chunks = {}
  for _, client in ipairs(client_of.clients()) do
    local list = states.of(client.id)
    for index = 1, math.max(1, #list) do
      vim.list_extend(chunks, #chunks > 0 and { { '\n' } } or {})
      vim.list_extend(chunks, status_chunks(client, list[index]))
    end
  end
  vim.api.nvim_echo(#chunks > 0 and chunks or { { 'syncline: no codebase is open' } }, true, {})
end

---@type table<string, syncline.Subcommand>
M.subcommands = {
  search = { run = find('search'), complete = FLAGS.search },
  symbols = { run = find('symbols'), complete = FLAGS.symbols },
  queue = {
    run = function()
      require('syncline.queue').open()
    end,
  },
  status = { run = status },
  sync = { run = server_command('sync') },
  pause = { run = server_command('pause') },
  resume = { run = server_command('resume') },
  rebuild = {
    run = function()
      client_of.with_current(function(client)
        M.rebuild(client, state_here(client))
      end)
    end,
  },
  log = {
    run = function(call)
      if call.arguments ~= '' and not call.arguments:match('^[1-9]%d*$') then
        return client_of.notify('`:Syncline log` wants a number of lines, or nothing', vim.log.levels.ERROR)
      end
      require('syncline.log').show(tonumber(call.arguments))
    end,
  },
  restart = {
    run = function()
      client_of.restart(function()
        client_of.notify('started again')
      end)
    end,
  },
}

--- What a range means: what was selected in Visual mode, if it is that range, or else its first line. A match is
--- within a line, so of several lines the first counts.
---@param opts vim.api.keyset.create_user_command.command_args
---@return string
local function selection(opts)
  local from, to = vim.fn.getpos("'<"), vim.fn.getpos("'>")
  if from[2] == opts.line1 and to[2] == opts.line2 then
    return vim.fn.getregion(from, to, { type = vim.fn.visualmode() })[1]
  end
  return vim.trim(vim.fn.getline(opts.line1))
end

--- Runs `:Syncline`.
---@param opts vim.api.keyset.create_user_command.command_args
function M.run(opts)
  local name, rest = opts.args:match('^%s*(%S+)%s?(.*)$')
  if not name then
    name, rest = 'queue', ''
  end
  local subcommand = M.subcommands[name]
  if not subcommand then
    local names = table.concat(vim.tbl_keys(M.subcommands), ', ')
    return client_of.notify(('there is no `:Syncline %s`; there are %s'):format(name, names), vim.log.levels.ERROR)
  end
  subcommand.run({
    arguments = rest,
    bang = opts.bang,
    selection = opts.range > 0 and selection(opts) or nil,
  })
end

--- Completes `:Syncline`.
---@param lead string
---@param line string
---@return string[]
function M.complete(lead, line)
  local name = line:match('Syncline!?%s+(%S+)%s')
  local words
  if not name then
    words = vim.tbl_keys(M.subcommands)
  else
    words = vim.list_slice((M.subcommands[name] or {}).complete or {})
    if FLAGS[name] and not vim.startswith(lead, '-') then
      local word = vim.fn.expand('<cword>')
      words = word ~= '' and { word } or {}
    end
  end
  table.sort(words)
  return vim.tbl_filter(function(word)
    return vim.startswith(word, lead)
  end, words)
end

return M
