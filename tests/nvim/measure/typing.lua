-- How long Neovim takes for a key while a tree is indexed for the first time, without the plugin and with it. Run by
-- `cargo xtask typing --corpus DIR`, which says what it prints.
--
-- Each round types the same keys four times, in an order that changes: without the plugin (`bare`), with it, as
-- editors/README.md sets it up (`plugin`), with a language client in its place that does nothing at all (`client`), and
-- without it once more (`again`). What `bare` and `again` differ by is the noise.
-- The cold index is the same each time: `syncline watch` of a user who has no index yet. With the plugin, Neovim joins
-- its engine.

local here = vim.fs.dirname(assert(vim.uv.fs_realpath(debug.getinfo(1, 'S').source:sub(2))))
package.path = vim.fs.dirname(here) .. '/support/?.lua;' .. package.path
local suite = require('suite')
local children = require('child')

local corpus = assert(os.getenv('TYPING_CORPUS'), 'TYPING_CORPUS names the tree')
local file = assert(os.getenv('TYPING_FILE'), 'TYPING_FILE names a file in it')
local rounds = assert(tonumber(os.getenv('TYPING_ROUNDS')), 'TYPING_ROUNDS says how often')
local keys = assert(tonumber(os.getenv('TYPING_KEYS')), 'TYPING_KEYS says how many keys')
--- Another language server, or the lack of one: a stand-in that wants each change, as real ones do.
local with_server = os.getenv('TYPING_SERVER') == '1'

--- Between two keys: nobody types as fast.
local PAUSE_MS = 30
--- What is typed, again and again: words, a line break, a correction.
local TEXT =
  { 'l', 'o', 'n', 'g', ' ', 'n', 'e', 'e', 'd', 'l', 'e', ' ', '=', ' ', '4', '3', '<BS>', '2', ';', '<CR>' }

--- Starts the cold index, and returns when it has begun.
local function start_index(env)
  local said = ''
  local process = vim.system({ suite.binary, 'watch', corpus, '--json' }, {
    env = env,
    stdout = function(_, text)
      said = text or said
    end,
  })
  assert(
    vim.wait(30000, function()
      return said:find('"stage"', 1, true) ~= nil
    end, 5),
    'no index begins; `syncline watch` says: ' .. said
  )
  return process, function()
    return said:match('.*"stage":"(%a+)"') or 'done'
  end
end

--- A language server that wants to know of changes and answers nothing else.
local STAND_IN = [[
  vim.lsp.start({ name = 'stand-in', root_dir = vim.fn.getcwd(), flags = ..., cmd = function()
    return {
      request = function(method, _, reply)
        if method == 'initialize' then
          reply(nil, { capabilities = { textDocumentSync = { openClose = true, change = 2 }, positionEncoding = 'utf-16' } })
        elseif method == 'shutdown' then reply(nil, vim.NIL) end
        return true, 1
      end,
      notify = function() return true end,
      is_closing = function() return false end,
      terminate = function() end,
    }
  end })
]]

--- Types all keys; how long each took, in milliseconds.
local function type_keys(child)
  child:type(('%dGO'):format(math.floor(child:lua('return vim.fn.line("$")') / 2)))
  child:wait('Insert mode', function()
    return child:mode().mode == 'i'
  end)
  local took = {}
  for index = 1, keys do
    local key = TEXT[(index - 1) % #TEXT + 1]
    local before = vim.uv.hrtime()
    vim.rpcrequest(child.channel, 'nvim_input', key)
    -- What is asked of Neovim is answered when it has worked on its keys and drawn what became of them.
    vim.rpcrequest(child.channel, 'nvim_exec_lua', 'return 0', {})
    took[index] = (vim.uv.hrtime() - before) / 1e6
    vim.uv.sleep(PAUSE_MS)
  end
  child:type('<Esc>')
  return took
end

---@param sorted number[]
local function quantile(sorted, share)
  return sorted[math.max(1, math.ceil(#sorted * share))]
end

--- One arm of a round.
local function measure(arm)
  local env = suite.user()
  local index, stage = start_index(env)
  local with_plugin = arm == 'plugin'
  local before = "vim.o.statusline = '%f %m%='"
  if with_plugin then
    -- The tree need not be a repository.
    before = suite.options({ cmd = { suite.binary, 'lsp', '--stdio' } })
      .. (' vim.lsp.config("syncline", { root_dir = %q })'):format(corpus)
      .. [[ vim.o.statusline = "%f %m%=%{get(b:, 'syncline_status', '')}"]]
  end
  local child = children.start({ plugin = with_plugin, env = env, cwd = corpus, lines = 40, before = before })
  child:command('edit ' .. file)
  if with_server then
    child:lua(STAND_IN, {})
  end
  if arm == 'client' then
    child:lua(STAND_IN, { allow_incremental_sync = false, debounce_text_changes = 1000 })
  end
  if with_plugin then
    child:wait_lua('a state', "return require('syncline').state() ~= nil")
  end
  local took = type_keys(child)
  local ended_in = stage()
  child:command('edit!')
  child:stop()
  index:kill('sigint')
  index:wait(10000)
  vim.system({ suite.binary, 'daemon', 'stop' }, { env = env }):wait(10000)
  vim.fn.delete(env.HOME, 'rf')
  table.sort(took)
  local result = { stage = ended_in }
  for name, share in pairs({ p50 = 0.5, p90 = 0.9, p99 = 0.99, max = 1 }) do
    result[name] = quantile(took, share)
  end
  return result
end

local ARMS = { 'bare', 'plugin', 'client', 'again' }
local results = {}
for round = 1, rounds do
  results[round] = {}
  for turn = 0, #ARMS - 1 do
    local arm = ARMS[(round + turn - 1) % #ARMS + 1]
    local result = measure(arm)
    results[round][arm] = result
    io.stdout:write(
      ('round %d  %-6s  p50 %.2f  p90 %.2f  p99 %.2f  max %.1f ms  (index: %s)\n'):format(
        round,
        arm,
        result.p50,
        result.p90,
        result.p99,
        result.max,
        result.stage
      )
    )
    io.stdout:flush()
  end
end

local function median(list)
  table.sort(list)
  return quantile(list, 0.5)
end

io.stdout:write('\nmedians of the rounds, and of what each round’s arms differ by\n')
for _, name in ipairs({ 'p50', 'p90', 'p99' }) do
  local arms, noise = {}, {}
  local differences = { plugin = {}, client = {} }
  for _, arm in ipairs(ARMS) do
    arms[arm] = median(vim.tbl_map(function(result)
      return result[arm][name]
    end, results))
  end
  for index, result in ipairs(results) do
    for arm, list in pairs(differences) do
      list[index] = result[arm][name] - (result.bare[name] + result.again[name]) / 2
    end
    noise[index] = math.abs(result.bare[name] - result.again[name])
  end
  io.stdout:write(
    ('%s  bare %.2f  again %.2f  plugin %.2f  client %.2f ms; plugin − bare %+.3f, client − bare %+.3f, noise %.3f (at most %.3f)\n'):format(
      name,
      arms.bare,
      arms.again,
      arms.plugin,
      arms.client,
      median(differences.plugin),
      median(differences.client),
      median(vim.deepcopy(noise)),
      math.max(unpack(noise))
    )
  )
end
os.exit(0)
