--- Text in fzf-lua: `require('syncline.sources.fzf_lua').search()`.

local client_of = require('syncline.client')
local live_of = require('syncline.sources.live')
local rows = require('syncline.picker.rows')
local search = require('syncline.search')

local M = {}

--- Opens fzf-lua on text.
---@param opts? table Options of fzf-lua
function M.search(opts)
  client_of.with_current(function(client)
    local fzf = require('fzf-lua')
    local root = client.config.root_dir or ''
    local live = live_of.new(client, search.run)
    fzf.fzf_live(
      function(arguments)
        -- Earlier versions hand over the prompt alone.
        local prompt = type(arguments) == 'table' and arguments[1] or arguments or ''
        return function(put)
          live:ask(prompt, function(items)
            for _, item in ipairs(items) do
              -- As `rg --column` prints it, which fzf-lua's actions and previewer read.
              local path = rows.relative(item.path, root)
              put(('%s:%d:%d:%s'):format(path, item.lnum, item.col + 1, item.text))
            end
          end, put)
        end
      end,
      vim.tbl_extend('force', {
        prompt = client_of.label(client) .. '> ',
        cwd = root,
        previewer = 'builtin',
        actions = fzf.defaults.actions.files,
      }, opts or {})
    )
  end)
end

return M
