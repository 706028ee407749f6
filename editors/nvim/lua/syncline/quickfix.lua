--- The quickfix window, which opens when something is found, whatever the person does by then.

local M = {}

--- Opens it, and goes there if the person is still where they asked.
---@param asked integer The window they asked in
function M.open(asked)
  if vim.fn.getcmdwintype() ~= '' then
    return -- No other window can be opened; `:copen` shows the list.
  end
  local now = vim.api.nvim_get_current_win()
  local waits = now == asked and vim.api.nvim_get_mode().mode == 'n'
  vim.cmd('botright copen')
  if not waits then
    vim.api.nvim_set_current_win(now)
  end
end

return M
