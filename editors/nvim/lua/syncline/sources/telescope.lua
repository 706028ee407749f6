--- Text and definitions in telescope: `:Telescope syncline`, `:Telescope syncline symbols`.

local client_of = require('syncline.client')
local live_of = require('syncline.sources.live')
local rows = require('syncline.picker.rows')
local search = require('syncline.search')
local symbols = require('syncline.symbols')

local M = {}

--- What telescope keeps of an item.
local function entry_of(root)
  return function(item)
    local place = ('%s:%d'):format(rows.relative(item.path, root), item.lnum)
    local shown = item.kind and ('%-12s %s  %s'):format(item.kind, item.text, place)
      or ('%s: %s'):format(place, vim.trim(item.text))
    return {
      value = item,
      ordinal = place .. ' ' .. item.text,
      display = shown,
      filename = item.path,
      lnum = item.lnum,
      col = item.col + 1,
      colend = item.end_col + 1,
      text = item.text,
    }
  end
end

--- What telescope asks anew with each prompt.
local function finder(client, run)
  local live = live_of.new(client, run)
  local make_entry = entry_of(client.config.root_dir or '')
  local function close()
    live:stop()
  end
  return setmetatable({ close = close }, {
    __call = function(_, prompt, process_result, process_complete)
      local count, full = 0, false
      live:ask(prompt or '', function(items)
        for _, item in ipairs(items) do
          if full then
            return
          end
          count = count + 1
          local entry = make_entry(item)
          entry.index = count
          full = process_result(entry) == true
        end
      end, process_complete)
    end,
  })
end

local function picker(title, run)
  return function(opts)
    opts = opts or {}
    client_of.with_current(function(client)
      local values = require('telescope.config').values
      require('telescope.pickers')
        .new(opts, {
          prompt_title = ('%s in %s'):format(title, client_of.label(client)),
          finder = finder(client, run),
          previewer = values.grep_previewer(opts),
          sorter = require('telescope.sorters').highlighter_only(opts),
        })
        :find()
    end)
  end
end

--- Opens telescope on text.
M.search = picker('Search', search.run)
--- Opens telescope on definitions.
M.symbols = picker('Symbols', symbols.run)

return M
