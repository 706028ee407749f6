local M = {} -- => variable M
local Util = require("util")
local made = setmetatable({}, {})
LIMIT = 10 -- => constant LIMIT
M.VERSION = "1" -- => field VERSION in M
M.result = compute(1)
local list = {} -- => variable list
list[#list + 1] = compute(2)
function M.norm(path) return path end -- => method norm in M
function M:render() local width = 1 end -- => method render in M
M.assigned = function() end -- => method assigned in M
M["quoted"] = function() end -- => method quoted in M
local a, b = function() end, function() end -- => function a, function b
local options = { -- => variable options
  callback = function() end, -- => method callback in options
  ["key"] = function() end, -- => method key in options
  nested = { done = function() end }, -- => method done in nested
}
local function helper() self.prompt = Layout.new() end -- => function helper
