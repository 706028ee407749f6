--- Syncline's public functions. Nothing has to be called: opening a file below a root is enough. `:help syncline`.

local M = {}

--- Sets options; see |syncline-options|. Not needed.
---@param options? syncline.Options
function M.setup(options)
  require('syncline.config').set(options)
end

---@param name 'search'|'symbols'
---@param query? string|syncline.Query
local function pick(name, query)
  local given = type(query) == 'table' and query or { pattern = query }
  require('syncline.client').find_current(function(client)
    require('syncline.picker').start(name, client, require('syncline.search').query(given.pattern or '', given))
  end)
end

--- Opens the live picker on text.
---@param query? string|syncline.Query
function M.search(query)
  pick('search', query)
end

--- Opens the live picker on definitions. Of a query, the pattern and `max_results` count.
---@param query? string|syncline.Query
function M.symbols(query)
  pick('symbols', query)
end

--- Searches into the quickfix list.
---@param query string|syncline.Query
function M.quickfix(query)
  local given = type(query) == 'table' and query or { pattern = query }
  require('syncline.client').with_current(function(client)
    local search = require('syncline.search')
    search.to_quickfix(client, search.query(given.pattern, given))
  end)
end

--- Opens the queue's floating window.
function M.queue()
  require('syncline.queue').open()
end

--- The state of the current file's codebase, for 'statusline'; empty where there is none.
---@param bufnr? integer
---@return string
function M.statusline(bufnr)
  return require('syncline.statusline').text(bufnr)
end

--- The state of a buffer's codebase, as the server last sent it.
---@param bufnr? integer The current one without it
---@return syncline.State?
function M.state(bufnr)
  local _, state = require('syncline.statusline').words(bufnr)
  return state
end

---@param command 'sync'|'pause'|'resume'
local function act(command, done)
  require('syncline.client').with_current(function(client)
    require('syncline.commands').act(client, command, nil, done)
  end, done)
end

--- Compares the tree with the index, and syncs what differs.
---@param done? fun(problem?: string)
function M.sync(done)
  act('sync', done)
end

--- Enqueues no batch until resumed.
---@param done? fun(problem?: string)
function M.pause(done)
  act('pause', done)
end

--- Goes on.
---@param done? fun(problem?: string)
function M.resume(done)
  act('resume', done)
end

--- Ends the servers, and starts those of the open files.
---@param done? fun()
function M.restart(done)
  require('syncline.client').restart(done)
end

return M
