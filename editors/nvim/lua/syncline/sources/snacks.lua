--- Text in snacks.picker: `require('syncline.sources.snacks').search()`.

local client_of = require('syncline.client')
local live_of = require('syncline.sources.live')
local search = require('syncline.search')

local M = {}

--- What snacks asks for the items of a query.
---@param client vim.lsp.Client
local function finder(client)
  local live = live_of.new(client, search.run)
  return function(_, ctx)
    local prompt = ctx.filter.search
    return function(put)
      local async = require('snacks.picker.util.async').running()
      local cancel
      async:on('abort', function()
        if cancel then
          vim.schedule(cancel)
        end
      end)
      vim.schedule(function()
        -- One that was aborted would put its items into the list of the one after it.
        if not async:running() then
          return
        end
        cancel = live:ask(prompt, function(items)
          if not async:running() then
            return
          end
          for _, item in ipairs(items) do
            put({
              text = item.path .. ' ' .. item.text,
              file = item.path,
              line = item.text,
              pos = { item.lnum, item.col },
              end_pos = { item.lnum, item.end_col },
            })
          end
        end, function()
          async:resume()
        end)
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
