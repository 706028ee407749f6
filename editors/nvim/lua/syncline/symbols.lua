--- Definitions by name, from `workspace/symbol`.

local client_of = require('syncline.client')
local quickfix = require('syncline.quickfix')
local wording = require('syncline.wording')

local M = {}

--- Whether the server knows symbols.
---@param client vim.lsp.Client
---@return boolean
function M.are_known(client)
  return (client.server_capabilities.workspaceSymbolProvider or false) ~= false
end

--- Asks for definitions; all come at once.
---@param client vim.lsp.Client
---@param query syncline.Query Only its pattern counts
---@param sink syncline.Sink
---@return fun() cancel
function M.run(client, query, sink)
  if not M.are_known(client) then
    sink.done(nil, 'this version of syncline knows no symbols yet; update it')
    return function() end
  end
  return client_of.request(client, 'workspace/symbol', { query = query.pattern }, function(problem, result)
    if problem then
      return sink.done(nil, problem)
    end
    local limit = query.max_results or math.huge
    local items = {}
    for _, symbol in ipairs(result or {}) do
      if #items >= limit then
        break
      end
      local range = symbol.location.range
      local column = range and range.start.character or 0
      items[#items + 1] = {
        path = vim.uri_to_fname(symbol.location.uri),
        lnum = range and range.start.line + 1 or 1,
        col = column,
        end_col = column,
        text = symbol.name,
        kind = vim.lsp.protocol.SymbolKind[symbol.kind] or 'Symbol',
        container = symbol.containerName ~= '' and symbol.containerName or nil,
      }
    end
    sink.items(items)
    sink.done({ limit_hit = #(result or {}) > #items, fresh = true })
  end)
end

--- Puts definitions into a new quickfix list.
---@param pattern string
---@param items syncline.Item[]
---@param asked integer The window they were asked for in
local function fill_quickfix(pattern, items, asked)
  if #items == 0 then
    return client_of.notify(('no definition found for %s'):format(pattern))
  end
  local list = vim.tbl_map(function(item)
    local text = ('%s %s%s'):format(item.kind, item.text, item.container and ' in ' .. item.container or '')
    return { filename = item.path, lnum = item.lnum, col = item.col + 1, text = text }
  end, items)
  vim.fn.setqflist({}, ' ', { title = 'Syncline: symbols ' .. pattern, items = list })
  quickfix.open(asked)
end

--- Asks for definitions into a new quickfix list.
---@param client vim.lsp.Client
---@param query syncline.Query
function M.to_quickfix(client, query)
  local count, asked = 0, vim.api.nvim_get_current_win()
  M.run(client, query, {
    items = function(items)
      count = #items
      fill_quickfix(query.pattern, items, asked)
    end,
    done = function(ended, problem)
      if problem then
        client_of.notify(problem, vim.log.levels.ERROR)
      elseif count > 0 then
        local found = wording.count(count, 'definition')
        client_of.notify(ended and ended.limit_hit and found .. '; there are more, narrow the search' or found)
      end
    end,
  })
end

return M
