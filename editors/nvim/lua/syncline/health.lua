--- `:checkhealth syncline`.

local client_of = require('syncline.client')
local config = require('syncline.config')
local states = require('syncline.states')
local wording = require('syncline.wording')

local M = {}

--- The oldest server that this plugin works with.
local MIN_VERSION = '0.1.0'
--- How long a program may take to answer.
local TIMEOUT_MS = 3000
--- Below this a system is likely to run out of file watches.
local MIN_WATCHES = 65536

--- Where Linux says how many folders a user may watch.
M.WATCH_LIMIT_FILE = '/proc/sys/fs/inotify/max_user_watches'

local health = vim.health
if not (health and health.start) then
  -- Before 0.10 its functions have other names.
  local old = health or require('health')
  health = { start = old.report_start, ok = old.report_ok, error = old.report_error }
end

--- Runs a program; its output, or what went wrong as the end of a sentence.
---@param command string[]
---@return string? output, string? problem
local function output_of(command)
  local started, process = pcall(vim.system, command, { text = true, stdin = false })
  if not started then
    return nil, 'can’t be started: ' .. tostring(process):gsub('^.-%.lua:%d+: ', '')
  end
  local result = process:wait(TIMEOUT_MS)
  if not result or result.code == 124 then
    return nil, ('did not answer within %d s'):format(TIMEOUT_MS / 1000)
  elseif result.code ~= 0 then
    local first = vim.split(vim.trim(result.stderr or ''), '\n')[1]
    return nil, ('ended with code %d%s'):format(result.code, first ~= '' and ': ' .. first or '')
  end
  return vim.trim(result.stdout or '')
end

local function check_neovim()
  health.start('Neovim')
  local version = vim.version()
  version = ('%d.%d.%d'):format(version.major, version.minor, version.patch)
  if vim.fn.has('nvim-0.10') == 0 then
    health.error(('%s is too old: 0.10 or newer is needed'):format(version))
  elseif vim.fn.has('nvim-0.11') == 0 then
    health.ok(version .. '; without `vim.lsp.config()`, so options are set by `setup()` or `vim.g.syncline`')
  else
    health.ok(version)
  end
end

local function check_options()
  health.start('Options')
  local problems = config.problems()
  for _, problem in ipairs(problems) do
    health.error(problem)
  end
  if #problems == 0 then
    health.ok('all are known and of the right kind')
  end
end

--- Whether the program is there and new enough; what starts it, then.
---@return string?
local function check_program()
  health.start('Program')
  local cmd = client_of.lsp_config().cmd
  if type(cmd) ~= 'table' then
    health.info('the server is started by a function, so there is nothing to check')
    return
  end
  local program = cmd[1]
  if client_of.missing_program(cmd) then
    health.error(('can’t find `%s`'):format(program), {
      'Build it in its repository: cargo install --path .',
      'Put it on your PATH, or name it: require("syncline").setup({ cmd = { "/path/to/syncline", "lsp", "--stdio" } })',
    })
    return
  end
  local output, problem = output_of({ program, '--version' })
  if not output then
    health.error(('`%s --version` %s'):format(program, problem), { 'See whether it is the right program.' })
    return
  end
  local version = output:match('^syncline (%d+%.%d+%.%d+)')
  if not version then
    local first = vim.split(output, '\n')[1]
    health.error(('`%s` isn’t Syncline: it says “%s”'):format(program, first), { 'Set the option `cmd`.' })
    return
  elseif vim.version.lt(version, MIN_VERSION) then
    health.error(('%s is too old: %s or newer is needed'):format(output, MIN_VERSION), {
      'Update it, in its repository: cargo install --path .',
    })
    return
  end
  health.ok(('%s, %s'):format(output, wording.path(vim.fn.exepath(program))))
  return program
end

--- A shared engine on one line, of the parts that are there.
local function engine_line(engine)
  local parts = { 'syncline ' .. (engine.version or '') }
  local function add(text, ...)
    parts[#parts + 1] = text:format(...)
  end
  if engine.pid then
    add('pid %d', engine.pid)
  end
  if engine.startedAt then
    add('up %s', wording.age(engine.startedAt))
  end
  add('%s', wording.count(#(engine.clients or {}), 'client'))
  add('%s open', wording.count(#(engine.codebases or {}), 'codebase'))
  if engine.memory then
    add('%s of memory', wording.bytes(engine.memory))
  end
  if engine.log then
    add('its log is %s', wording.path(engine.log))
  end
  return table.concat(parts, ', ')
end

--- The engine that all editors of a user share.
local function check_daemon(program)
  health.start('Shared engine')
  local cmd = client_of.lsp_config().cmd
  if vim.list_contains(cmd, '--standalone') then
    health.info('`cmd` says `--standalone`: each codebase has an engine of its own in this Neovim’s servers')
    return
  end
  local output, problem = output_of({ program, 'daemon', 'status', '--json' })
  if not output and problem:find('unrecognized subcommand', 1, true) then
    health.info('this version of the program has none: each codebase has an engine of its own')
    return
  elseif not output then
    health.error(('`%s daemon status` %s'):format(program, problem), { 'Its sentence says how to fix it.' })
    return
  end
  local readable, engine = pcall(vim.json.decode, output, { luanil = { object = true } })
  local none = engine == nil or engine == vim.NIL
  if not readable or not none and type(engine) ~= 'table' then
    health.error(('`%s daemon status` answered what isn’t a state: %s'):format(program, output))
  elseif none then
    health.info('none runs; an editor starts it when it opens a codebase')
  else
    health.ok(engine_line(engine))
  end
end

local function check_watches()
  if vim.fn.has('linux') == 0 then
    return
  end
  health.start('File watches')
  local file = io.open(M.WATCH_LIMIT_FILE)
  local limit = file and tonumber(file:read('*l'))
  if file then
    file:close()
  end
  if not limit then
    health.warn(('can’t read how many the system allows (%s)'):format(M.WATCH_LIMIT_FILE))
  elseif limit < MIN_WATCHES then
    health.warn(('the system allows %s folders; a large tree needs more'):format(wording.number(limit)), {
      'sudo sysctl fs.inotify.max_user_watches=524288',
    })
  else
    health.ok(('the system allows %s folders'):format(wording.number(limit)))
  end
end

---@param state syncline.State
local function check_state(state)
  local words = wording.state(state)
  local line = ('%s (%s): %s; %s'):format(
    state.codebase.name,
    wording.path(vim.uri_to_fname(state.codebase.root)),
    words.long,
    wording.index(state.index)
  )
  if state.health == 'ok' then
    health.ok(line)
  elseif state.health == 'degraded' then
    health.warn(line, state.message and { state.message } or nil)
  else
    health.error(line, state.message and { state.message } or nil)
  end
  local last = state.lastSync
  if last and last.outcome == 'failed' then
    health.warn(('%s: the last batch %s'):format(state.codebase.name, wording.outcome(last)))
  end
end

--- Where a URL for Redis comes from, if the editor or the environment says one.
local function redis_setting()
  if vim.env.SYNCLINE_QUEUE_REDIS_URL then
    return 'SYNCLINE_QUEUE_REDIS_URL'
  elseif vim.tbl_get(config.get().settings, 'queue', 'redisUrl') then
    return 'the option `settings.queue.redisUrl`'
  end
end

local function check_codebases()
  health.start('Codebases')
  local clients = client_of.clients()
  local by_root = {}
  for _, client in ipairs(clients) do
    local root = client.config.root_dir or ''
    by_root[root] = (by_root[root] or 0) + 1
    local list = states.of(client.id)
    for _, state in ipairs(list) do
      check_state(state)
    end
    if #list == 0 then
      health.warn(('%s: its server hasn’t sent its state yet'):format(client_of.label(client)), { ':Syncline log' })
    end
  end
  for root, number in pairs(by_root) do
    if number > 1 then
      health.warn(('%d servers run for %s'):format(number, root), {
        'Something else starts clients of the name `syncline`; start them in one place.',
      })
    end
  end
  for root, reason in vim.spairs(client_of.blocked()) do
    health.error(('%s: %s'):format(wording.path(root), reason), {
      ':Syncline log says why',
      ':Syncline restart tries again',
    })
  end
  if #clients == 0 and vim.tbl_isempty(client_of.blocked()) then
    local markers = table.concat(client_of.lsp_config().root_markers or {}, ', ')
    health.info(('none is open; a file below a folder with one of %s opens one'):format(markers))
  end

  health.start('Queues')
  local setting, used = redis_setting(), {}
  for _, client in ipairs(clients) do
    for _, state in ipairs(states.of(client.id)) do
      used[state.backend] = true
    end
  end
  if used['local'] and setting then
    health.warn(('%s names a Redis, but queues are on this machine'):format(setting), {
      'The codebase above says what is wrong, when it is known.',
    })
  elseif used.redis then
    health.ok('in Redis')
  elseif used['local'] then
    health.ok('on this machine; no Redis is set')
  else
    health.info('no codebase is open')
  end
end

local function check_conflicts()
  health.start('Conflicts')
  local found = false
  local function conflict(text, advice)
    found = true
    health.warn(text, advice)
  end
  local copies = vim.api.nvim_get_runtime_file('plugin/syncline.lua', true)
  if #copies > 1 then
    conflict('the plugin is there more than once: ' .. table.concat(vim.tbl_map(wording.path, copies), ', '), {
      'Keep one of them on the runtimepath.',
    })
  end
  local command = vim.api.nvim_get_commands({}).Syncline
  if not command then
    conflict('`:Syncline` is missing: plugin/syncline.lua was not loaded', {
      'Start Neovim without --noplugin, or run :runtime plugin/syncline.lua',
    })
  end
  if not vim.lsp.handlers['syncline/queueState'] then
    conflict('the state isn’t listened to: plugin/syncline.lua was not loaded')
  end
  for _, client in ipairs(client_of.clients()) do
    for _, capability in ipairs({ 'hoverProvider', 'completionProvider', 'documentSymbolProvider' }) do
      if client.server_capabilities[capability] then
        conflict(('the server offers %s, which may disturb others'):format(capability))
      end
    end
  end
  if not found then
    health.ok('none')
  end
end

--- Checks all that has to be right.
function M.check()
  check_neovim()
  if vim.fn.has('nvim-0.10') == 0 then
    return
  end
  check_options()
  local program = check_program()
  if program then
    check_daemon(program)
  end
  check_watches()
  check_codebases()
  check_conflicts()
end

return M
