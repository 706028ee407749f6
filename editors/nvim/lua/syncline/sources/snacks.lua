--- Text in snacks.picker: `require('syncline.sources.snacks').search()`.

local client_of = require('syncline.client')
local config = require('syncline.config')
local search = require('syncline.search')

local M = {}

--- What snacks asks for the items of a query.
---@param client vim.lsp.Client
local function finder(client)
  return function(_, ctx)
    local pattern = ctx.filter.search
    if pattern == '' then
      return function() end
    end
    return function(put)
      local async = require('snacks.picker.util.async').running()
      local cancel
      async:on('abort', function()
        if cancel then
          vim.schedule(cancel)
        end
      end)
      vim.schedule(function()
        local query = search.query(pattern, { max_results = config.get().picker.max_results })
        cancel = search.run(client, query, {
          items = function(items)
            for _, item in ipairs(items) do
              put({
                text = item.path .. ' ' .. item.text,
                file = item.path,
                line = item.text,
                pos = { item.lnum, item.col },
                end_pos = { item.lnum, item.end_col },
              })
            end
          end,
          done = function(_, problem)
            cancel = nil
            if problem then
              client_of.tell(problem, vim.log.levels.WARN)
            end
            async:resume()
          end,
        })
      end)
      async:suspend()
    end
  end
end

--- Opens snacks.picker on text.
---@param opts? table Options of snacks.picker
function M.search(opts)
  client_of.with_current(function(client)
    require('snacks').picker.pick(vim.tbl_extend('force', {
      title = 'Search in ' .. client_of.label(client),
      live = true,
      supports_live = true,
      finder = finder(client),
      format = 'file',
    }, opts or {}))
  end)
end

return M
