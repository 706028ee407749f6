--- The last state of each open codebase, as the server sent it. Owner of them; others read, or listen to
--- `User SynclineState`.

local M = {}

---@type table<integer, table<string, syncline.State>> By client, then by the codebase's id
local states = {}
local changes = 0

--- How often a state has come or gone: as long as this number stays, so does what follows from states.
---@return integer
function M.changes()
  return changes
end

---@param client_id integer
---@param codebase syncline.Codebase
---@param state? syncline.State None when the codebase isn't open any more
local function announce(client_id, codebase, state)
  changes = changes + 1
  vim.api.nvim_exec_autocmds('User', {
    pattern = 'SynclineState',
    modeline = false,
    data = { client_id = client_id, codebase = codebase, state = state },
  })
end

--- Takes what the server sent.
---@param client_id integer
---@param state syncline.State
function M.put(client_id, state)
  states[client_id] = states[client_id] or {}
  states[client_id][state.codebase.id] = state
  announce(client_id, state.codebase, state)
end

--- Forgets what a client's server sent.
---@param client_id integer
function M.forget(client_id)
  local gone = states[client_id] or {}
  states[client_id] = nil
  for _, state in pairs(gone) do
    announce(client_id, state.codebase, nil)
  end
end

--- The states of a client, by name.
---@param client_id integer
---@return syncline.State[]
function M.of(client_id)
  local list = vim.tbl_values(states[client_id] or {})
  table.sort(list, function(a, b)
    return a.codebase.root < b.codebase.root
  end)
  return list
end

--- The state of the codebase that a path is in: the innermost, or the client's first where none has it.
---@param client_id integer
---@param path? string
---@return syncline.State?
function M.at(client_id, path)
  local list = M.of(client_id)
  local found = list[1]
  if #list > 1 and path and path ~= '' then
    local real = vim.uv.fs_realpath(path) or path
    -- By root, so what is inside comes after what is around it.
    for _, state in ipairs(list) do
      if vim.startswith(real, vim.uri_to_fname(state.codebase.root) .. '/') then
        found = state
      end
    end
  end
  return found
end

return M
