--- What sources for other pickers have in common: they ask anew with each prompt, and then nobody wants the answer to the
--- one before.

local client_of = require('syncline.client')
local config = require('syncline.config')
local search = require('syncline.search')

local M = {}

---@class syncline.Live One picker's questions.
---@field private client vim.lsp.Client
---@field private run fun(client: vim.lsp.Client, query: syncline.Query, sink: syncline.Sink): fun()
---@field private cancel? fun()
local Live = {}
Live.__index = Live

---@param client vim.lsp.Client
---@param run fun(client: vim.lsp.Client, query: syncline.Query, sink: syncline.Sink): fun()
---@return syncline.Live
function M.new(client, run)
  return setmetatable({ client = client, run = run }, Live)
end

--- Asks; the person is notified of what goes wrong.
---@param prompt string Where it is empty, nothing is found
---@param take fun(items: syncline.Item[])
---@param finished fun()
---@return fun()? cancel Gives up this question
function Live:ask(prompt, take, finished)
  self:stop()
  if prompt == '' then
    finished()
    return
  end
  local query = search.query(prompt, { max_results = config.get().picker.max_results })
  self.cancel = self.run(self.client, query, {
    items = take,
    done = function(_, problem)
      if problem then
        client_of.notify(problem, vim.log.levels.WARN)
      end
      finished()
    end,
  })
  return self.cancel
end

--- Gives up what is being asked.
function Live:stop()
  if self.cancel then
    self.cancel()
    self.cancel = nil
  end
end

return M
