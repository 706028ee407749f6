--- The server's life, seen from Neovim: which file belongs to which root, starting, requests, and what happens when it
--- ends. There is one client for each root.

local config = require('syncline.config')
local states = require('syncline.states')

local M = {}

M.NAME = 'syncline'
--- The protocol that this plugin speaks.
M.PROTOCOL = 1
--- A server that crashes this often within `CRASH_WINDOW_MS` isn't started again by itself.
M.MAX_CRASHES = 5
M.CRASH_WINDOW_MS = 180000
--- Before the first new start; it doubles with each further crash.
M.RESTART_DELAY_MS = 500
--- How often a search whose engine dies is retried. With the third death the server goes on by itself.
M.MAX_RETRIES = 3
--- How long a start, or the end of a client that is to start again, is waited for.
M.TIMEOUT_MS = 5000

local is_011 = vim.fn.has('nvim-0.11') == 1

---@class syncline.RootRecord What is known of a root beside its client.
---@field crashes integer[] When its server crashed, milliseconds of `uv.now()`
---@field blocked? string Why it isn't started any more
---@field stopped? boolean Whether someone stopped it on purpose

---@type table<string, syncline.RootRecord>
local roots = {}
--- Clients that have answered `initialize`.
---@type table<integer, boolean>
local initialized = {}
--- Sinks of streamed searches, by their token.
---@type table<string, fun(value: table)>
local streams = {}
local leaving = false
local notified = {}

---@param root string
---@return syncline.RootRecord
local function record(root)
  roots[root] = roots[root] or { crashes = {} }
  return roots[root]
end

--- Says something to the person, in one line of 80 columns where that can be: a longer one waits for <CR>. Not at once:
--- an error message would end the command that is being run.
---@param message string
---@param level? integer
function M.notify(message, level)
  vim.schedule(function()
    vim.notify('syncline: ' .. message, level or vim.log.levels.INFO)
  end)
end

--- How long after the end of a server the person is notified. Neovim says a line of its own at once, and two lines at a
--- time would wait for <CR>.
local END_NOTICE_MS = 200

--- Says what follows from the end of a server.
local function notify_end(message, level)
  vim.defer_fn(function()
    M.notify(message, level)
  end, END_NOTICE_MS)
end

--- Says something once in this Neovim.
local function notify_once(message, level)
  if not notified[message] then
    notified[message] = true
    M.notify(message, level)
  end
end

-- Neovim 0.10 has these as functions of the client, later ones as its methods.
local function request(client, ...)
  if is_011 then
    return client:request(...)
  end
  return client.request(...)
end

local function cancel_request(client, id)
  if is_011 then
    return client:cancel_request(id)
  end
  return client.cancel_request(id)
end

local function stop(client, force)
  if is_011 then
    return client:stop(force)
  end
  return client.stop(force)
end

--- What the LSP client is configured with, user's changes by `vim.lsp.config()` included.
---@return table
function M.lsp_config()
  local options = config.get()
  local base
  if is_011 then
    base = vim.deepcopy(vim.lsp.config[M.NAME])
  else
    base = dofile(assert(vim.api.nvim_get_runtime_file('lsp/syncline.lua', false)[1]))
  end
  base.name = M.NAME
  base.cmd = options.cmd or base.cmd
  base.root_markers = options.root_markers or base.root_markers
  base.settings = vim.tbl_deep_extend('force', base.settings or {}, { syncline = options.settings })
  -- The server reads its section from either.
  base.init_options = vim.tbl_deep_extend('force', base.init_options or {}, options.settings)
  if vim.tbl_isempty(base.init_options) then
    base.init_options = nil
  end
  return base
end

--- The root of a file's buffer; `found` isn't called when there is none.
---@param lsp_config table
---@param bufnr integer
---@param found fun(root: string)
local function find_root(lsp_config, bufnr, found)
  if type(lsp_config.root_dir) == 'string' then
    found(lsp_config.root_dir)
  elseif lsp_config.root_dir then
    lsp_config.root_dir(bufnr, found, config.get().root_markers)
  end
end

--- The root that a folder is in.
---@param folder string
---@return string?
function M.root_of_folder(folder)
  local lsp_config = M.lsp_config()
  return vim.fs.root(folder, lsp_config.root_markers)
end

--- The program of the server when it can't be started, else nil.
---@param cmd any
---@return string?
function M.missing_program(cmd)
  if type(cmd) == 'table' and vim.fn.executable(cmd[1]) == 0 then
    return cmd[1]
  end
end

--- Clients, those that are starting included: `_uninitialized` is what Neovim's own starting uses.
---@param filter? { bufnr?: integer }
---@return vim.lsp.Client[]
function M.clients(filter)
  local list = vim.lsp.get_clients(vim.tbl_extend('force', filter or {}, { name = M.NAME, _uninitialized = true }))
  table.sort(list, function(a, b)
    return a.id < b.id
  end)
  return list
end

---@param root string
---@return vim.lsp.Client?
local function client_of_root(root)
  for _, client in ipairs(M.clients()) do
    if client.config.root_dir == root then
      return client
    end
  end
end

--- The folder's name that people know a client's codebase by.
---@param client vim.lsp.Client
---@return string
function M.label(client)
  local root = client.config.root_dir
  return root and vim.fs.basename(root) or 'a codebase'
end

--- Takes over what goes between a client and this plugin, once for each client, however it was started.
---@param client vim.lsp.Client
local function adopt(client)
  if initialized[client.id] then
    return
  end
  initialized[client.id] = true
  -- Whoever started it, it runs.
  local known = record(client.config.root_dir or '')
  known.stopped, known.blocked = nil, nil
  -- Matches of a search come by the method of work-done progress, but are none: neither Neovim nor a plugin that shows
  -- progress is to see them.
  local theirs = client.handlers['$/progress']
  client.handlers['$/progress'] = function(err, params, ctx, ...)
    local sink = params and streams[params.token]
    if sink then
      return sink(params.value)
    elseif type(params and params.token) == 'string' and vim.startswith(params.token, 'syncline-search-') then
      return -- What a cancelled search still had on its way.
    end
    return (theirs or vim.lsp.handlers['$/progress'])(err, params, ctx, ...)
  end
  local experimental = client.server_capabilities.experimental
  local protocol = vim.tbl_get(experimental or {}, 'syncline', 'protocol')
  if type(protocol) ~= 'number' or protocol < M.PROTOCOL then
    notify_once(
      ('%s is older than the plugin; see :checkhealth syncline'):format(
        type(client.config.cmd) == 'table' and vim.fs.basename(client.config.cmd[1]) or 'the program'
      ),
      vim.log.levels.ERROR
    )
  end
end

---@param root string
---@param client_id integer
---@param code integer
---@param signal integer
local function on_exit(root, client_id, code, signal)
  local was_initialized = initialized[client_id]
  initialized[client_id] = nil
  states.forget(client_id)
  local known = record(root)
  -- 0 follows a `shutdown` only; SIGTERM and SIGINT: somebody wanted it to end.
  local on_purpose = known.stopped or (code == 0 and (signal == 0 or signal == 2 or signal == 15)) or code == 143
  if leaving then
    return
  elseif on_purpose then
    known.stopped = true
    return
  end
  local name = vim.fs.basename(root)
  local how = signal ~= 0 and ('was ended by signal %d'):format(signal) or ('ended with code %d'):format(code)
  if not was_initialized then
    known.blocked = ('its server %s at its start'):format(how)
    notify_end(('%s: %s; see :checkhealth syncline'):format(name, known.blocked), vim.log.levels.ERROR)
    return
  end
  local now = vim.uv.now()
  known.crashes = vim.tbl_filter(function(at)
    return now - at < M.CRASH_WINDOW_MS
  end, known.crashes)
  table.insert(known.crashes, now)
  if #known.crashes >= M.MAX_CRASHES then
    known.blocked = ('its server crashed %d times, last it %s'):format(#known.crashes, how)
    notify_end(('%s: its server crashed %d times; see :Syncline'):format(name, #known.crashes), vim.log.levels.ERROR)
    return
  end
  notify_end(('%s: its server %s and starts again'):format(name, how), vim.log.levels.WARN)
  vim.defer_fn(function()
    M.attach_all(root)
  end, M.RESTART_DELAY_MS * 2 ^ (#known.crashes - 1))
end

--- Adds our callbacks to those of the user.
local function with_callbacks(lsp_config, root)
  local function list(callbacks)
    return type(callbacks) == 'table' and vim.deepcopy(callbacks) or { callbacks }
  end
  lsp_config.on_init = list(lsp_config.on_init)
  table.insert(lsp_config.on_init, 1, adopt)
  lsp_config.on_exit = list(lsp_config.on_exit)
  table.insert(
    lsp_config.on_exit,
    1,
    vim.schedule_wrap(function(code, signal, client_id)
      on_exit(root, client_id, code, signal)
    end)
  )
end

--- Starts a root's server where it doesn't run, and attaches a buffer.
---@param lsp_config table
---@param root string
---@param bufnr? integer
---@return integer? client_id
local function start(lsp_config, root, bufnr)
  local missing = M.missing_program(lsp_config.cmd)
  if missing then
    notify_once(('can’t find `%s`; see :checkhealth syncline'):format(missing), vim.log.levels.WARN)
    return
  end
  local running = client_of_root(root)
  if running and not bufnr then
    return running.id
  end
  lsp_config.root_dir = root
  with_callbacks(lsp_config, root)
  if bufnr then
    return vim.lsp.start(lsp_config, { bufnr = bufnr, silent = true })
  elseif is_011 then
    return vim.lsp.start(lsp_config, { attach = false, silent = true })
  end
  return vim.lsp.start_client(lsp_config)
end

--- Attaches a buffer to its root's client, starting that; nothing where it has no root, or is attached.
---@param bufnr integer
---@param only? string Only if this is its root
function M.attach(bufnr, only)
  if not vim.api.nvim_buf_is_loaded(bufnr) or #M.clients({ bufnr = bufnr }) > 0 then
    return
  end
  local lsp_config = M.lsp_config()
  find_root(lsp_config, bufnr, function(root)
    local known = record(root)
    if (only and root ~= only) or known.blocked or known.stopped then
      return
    end
    if vim.api.nvim_buf_is_loaded(bufnr) then
      start(lsp_config, root, bufnr)
    end
  end)
end

--- Attaches every open file.
---@param only? string Only those of this root
function M.attach_all(only)
  for _, bufnr in ipairs(vim.api.nvim_list_bufs()) do
    M.attach(bufnr, only)
  end
end

--- Why there is no client here, as a sentence.
local function why_none(root)
  if not root then
    return 'no codebase above this file or the current folder; :help syncline-start'
  end
  local known = record(root)
  return ('%s: %s; :Syncline restart tries again'):format(
    vim.fs.basename(root),
    known.blocked or (known.stopped and 'its server was stopped') or 'its server can’t be started'
  )
end

--- The buffer that a person has in mind: the current one, or where it is no file, that of the window before.
---@return integer
function M.current_buffer()
  local bufnr = vim.api.nvim_get_current_buf()
  if vim.bo[bufnr].buftype ~= '' then
    local before = vim.fn.winbufnr(vim.fn.winnr('#'))
    return before > 0 and before or bufnr
  end
  return bufnr
end

---@param problem string
local function warn(problem)
  M.notify(problem, vim.log.levels.WARN)
end

--- Calls with the client that a person means, once that has answered `initialize`.
---@param use fun(client: vim.lsp.Client)
---@param otherwise? fun(problem: string) Without it the person is notified
function M.with_current(use, otherwise)
  M.find_current(function(client)
    M.when_ready(client, use, otherwise or warn)
  end, otherwise)
end

--- Calls with the client that a person means, at once: the current buffer's, or else that of the current folder, which
--- is started when it doesn't run.
---@param use fun(client: vim.lsp.Client)
---@param otherwise? fun(problem: string) Without it the person is notified
function M.find_current(use, otherwise)
  otherwise = otherwise or warn
  local bufnr = M.current_buffer()
  local client = M.clients({ bufnr = bufnr })[1]
  if not client then
    local lsp_config = M.lsp_config()
    local root
    find_root(lsp_config, bufnr, function(found)
      root = found
    end)
    root = root or M.root_of_folder(vim.fn.getcwd())
    if root and not record(root).blocked and not record(root).stopped then
      local missing = M.missing_program(lsp_config.cmd)
      if missing then
        otherwise(('can’t find `%s`; see :checkhealth syncline'):format(missing))
        return
      end
      local id = start(lsp_config, root)
      client = id and vim.lsp.get_client_by_id(id)
    end
    -- In a folder without a root, the only codebase there is will be meant.
    local all = M.clients()
    client = client or (not root and #all == 1 and all[1]) or nil
    if not client then
      otherwise(why_none(root))
      return
    end
  end
  use(client)
end

--- Calls when a client has answered `initialize`, at once if it has.
---@param client vim.lsp.Client
---@param use fun(client: vim.lsp.Client)
---@param otherwise fun(problem: string)
function M.when_ready(client, use, otherwise)
  if client.initialized then
    return use(client)
  end
  local deadline = vim.uv.now() + M.TIMEOUT_MS
  local function poll()
    if client.initialized then
      use(client)
    elseif not vim.lsp.get_client_by_id(client.id) then
      otherwise(why_none(client.config.root_dir))
    elseif vim.uv.now() > deadline then
      otherwise(('%s: its server doesn’t answer; :Syncline log'):format(M.label(client)))
    else
      vim.defer_fn(poll, 10)
    end
  end
  poll()
end

--- Sends the edits that Neovim still holds back, so that an answer knows them.
---@param client vim.lsp.Client
local function send_edits(client)
  -- Neovim does so by itself only for the one buffer that a request is about, and has no public function for it.
  local known, tracking = pcall(require, 'vim.lsp._changetracking')
  if known then
    pcall(tracking.flush, client)
  end
end

--- Asks the server. The reply's error is a sentence, and the protocol's code where the server gave one.
---@param client vim.lsp.Client
---@param method string
---@param params table
---@param reply fun(problem?: string, result: any, code?: integer)
---@return fun() cancel After it, `reply` isn't called
function M.request(client, method, params, reply)
  local open = true
  send_edits(client)
  local sent, id = request(client, method, params, function(err, result)
    if open then
      open = false
      if err then
        reply(err.message or vim.inspect(err), nil, err.code)
      else
        reply(nil, result)
      end
    end
  end, vim.api.nvim_get_current_buf())
  if not sent then
    open = false
    reply(('%s: its server has ended; :Syncline restart'):format(M.label(client)))
  end
  return function()
    if open then
      open = false
      cancel_request(client, id)
    end
  end
end

local last_token = 0

--- As `request`, with the parts of the result handed over as they come. The engine behind a server may die meanwhile:
--- while no part had come, that isn't noticed here, since the next engine is asked.
---@param client vim.lsp.Client
---@param method string
---@param params table
---@param part fun(value: table)
---@param reply fun(problem?: string, result: any)
---@return fun() cancel After it, neither `part` nor `reply` is called
function M.stream(client, method, params, part, reply)
  local cancel
  local function ask(retries)
    last_token = last_token + 1
    local token = 'syncline-search-' .. last_token
    params.partialResultToken = token
    local came = false
    streams[token] = function(value)
      came = true
      part(value)
    end
    local cancel_asking = M.request(client, method, params, function(problem, result, code)
      streams[token] = nil
      if code == vim.lsp.protocol.ErrorCodes.ContentModified and not came and retries > 0 then
        ask(retries - 1)
      else
        reply(problem, result)
      end
    end)
    cancel = function()
      streams[token] = nil
      cancel_asking()
    end
  end
  ask(M.MAX_RETRIES)
  return function()
    cancel()
  end
end

--- Runs one of the server's commands.
---@param client vim.lsp.Client
---@param command 'sync'|'pause'|'resume'|'rebuild'
---@param codebase? string Id; without it all of the client
---@param reply fun(problem?: string, result: any)
function M.command(client, command, codebase, reply)
  local argument = codebase and { codebase = codebase } or vim.empty_dict()
  M.request(client, 'workspace/executeCommand', {
    command = 'syncline.' .. command,
    arguments = { argument },
  }, reply)
end

--- Ends all servers, and starts those of the open files. A server that doesn't end when it is asked is made to.
---@param done? fun()
function M.restart(done)
  local deadline, forced = vim.uv.now() + M.TIMEOUT_MS, false
  local ending = M.clients()
  notified = {}
  for _, client in ipairs(ending) do
    record(client.config.root_dir or '').stopped = true
    stop(client)
  end
  local function poll()
    local alive = vim.tbl_filter(function(client)
      return vim.lsp.get_client_by_id(client.id) ~= nil
    end, ending)
    if #alive > 0 and not forced and vim.uv.now() >= deadline then
      deadline, forced = vim.uv.now() + M.TIMEOUT_MS, true
      for _, client in ipairs(alive) do
        -- Neovim 0.11 has no way to force what was asked before.
        client.rpc.terminate()
      end
    end
    if #alive > 0 and vim.uv.now() < deadline then
      return vim.defer_fn(poll, 20)
    end
    for _, client in ipairs(alive) do
      M.notify(('%s: its server doesn’t end'):format(M.label(client)), vim.log.levels.ERROR)
    end
    roots = {}
    M.attach_all()
    if done then
      done()
    end
  end
  poll()
end

--- Why a root isn't started by itself any more.
---@return table<string, string>
function M.blocked()
  local list = {}
  for root, known in pairs(roots) do
    list[root] = known.blocked
  end
  return list
end

--- Listens to what happens to buffers and clients. Called once, by `plugin/syncline.lua`.
function M.listen()
  local group = vim.api.nvim_create_augroup('syncline', {})
  vim.api.nvim_create_autocmd('LspAttach', {
    group = group,
    callback = function(event)
      local client = vim.lsp.get_client_by_id(event.data.client_id)
      if client and client.name == M.NAME then
        adopt(client)
      end
    end,
  })
  vim.api.nvim_create_autocmd('LspDetach', {
    group = group,
    callback = function(event)
      local id = event.data.client_id
      -- The end of clients that we didn't start isn't reported.
      vim.schedule(function()
        local client = vim.lsp.get_client_by_id(id)
        if initialized[id] and (not client or client:is_stopped()) then
          initialized[id] = nil
          states.forget(id)
        end
      end)
    end,
  })
  vim.api.nvim_create_autocmd('VimLeavePre', {
    group = group,
    callback = function()
      leaving = true
    end,
  })
  -- Not FileType: a file without a type belongs to its codebase as well.
  vim.api.nvim_create_autocmd({ 'BufReadPost', 'BufNewFile', 'BufFilePost', 'BufWritePost' }, {
    group = group,
    callback = function(event)
      if config.get().autostart then
        -- After what reads the file has ended, so that opening it doesn't wait for this.
        vim.schedule(function()
          M.attach(event.buf)
        end)
      end
    end,
  })
  local function begin()
    -- A client finds its handlers when a message comes, so this holds for every client, however it was started. Not
    -- earlier, since it loads Neovim's LSP client, for which nobody's start is to wait.
    vim.lsp.handlers['syncline/queueState'] = function(_, state, ctx)
      if state and vim.lsp.get_client_by_id(ctx.client_id) then
        states.put(ctx.client_id, state)
      end
    end
    require('syncline.highlights').define()
    vim.api.nvim_create_autocmd('ColorScheme', {
      group = group,
      callback = function()
        require('syncline.highlights').define()
      end,
    })
    local options = config.get()
    if options.grepprg then
      require('syncline.search').use_for_grep()
    end
    if options.autostart then
      M.attach_all()
    end
  end
  if vim.v.vim_did_enter == 1 then
    -- Loaded late; what loads it may call setup() only after this.
    vim.schedule(begin)
  else
    vim.api.nvim_create_autocmd('VimEnter', { group = group, once = true, callback = vim.schedule_wrap(begin) })
  end
end

return M
