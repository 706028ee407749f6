--- Where the picker's windows are.

local config = require('syncline.config')

local M = {}

--- Below this the preview goes under the list, or away.
local SIDE_BY_SIDE_COLUMNS = 90
local STACKED_LINES = 24

---@class syncline.Box
---@field row integer
---@field col integer
---@field width integer Without the frame
---@field height integer Without the frame

---@class syncline.Layout
---@field prompt syncline.Box
---@field globs? syncline.Box
---@field list syncline.Box
---@field preview? syncline.Box

--- Places the windows on a screen.
---@param columns integer
---@param lines integer
---@param wants { globs: boolean, preview: boolean }
---@return syncline.Layout
function M.place(columns, lines, wants)
  local options = config.get().picker
  local width = math.min(columns, math.max(50, math.floor(columns * options.width)))
  local height = math.min(lines, math.max(12, math.floor(lines * options.height)))
  local top, left = math.floor((lines - height) / 2), math.floor((columns - width) / 2)
  local frame, prompt_height = 2, 3

  local function box(row, col, outer_width, outer_height)
    return {
      row = top + row,
      col = left + col,
      width = math.max(1, outer_width - frame),
      height = math.max(1, outer_height - frame),
    }
  end

  local globs_width = wants.globs and math.floor(width * 0.3) or 0
  local layout = {
    prompt = box(0, 0, width - globs_width, prompt_height),
    globs = wants.globs and box(0, width - globs_width, globs_width, prompt_height) or nil,
  }
  local below = height - prompt_height
  if wants.preview and width >= SIDE_BY_SIDE_COLUMNS then
    local list_width = math.floor(width * 0.5)
    layout.list = box(prompt_height, 0, list_width, below)
    layout.preview = box(prompt_height, list_width, width - list_width, below)
  elseif wants.preview and height >= STACKED_LINES then
    local list_height = math.floor(below * 0.55)
    layout.list = box(prompt_height, 0, width, list_height)
    layout.preview = box(prompt_height + list_height, 0, width, below - list_height)
  else
    layout.list = box(prompt_height, 0, width, below)
  end
  return layout
end

return M
