--- What the servers have said, from Neovim's LSP log.

local wording = require('syncline.wording')

local M = {}

--- How many lines are shown when nobody says how many.
local DEFAULT_LINES = 500

--- The lines of Neovim's LSP log that are about Syncline, as people read them; why it can't be read, when it is there.
---@param count integer
---@return string[] lines, string? problem
local function lines_of_ours(count)
  local lines = {}
  local path = vim.lsp.log.get_filename()
  local file, problem = io.open(path, 'r')
  if not file then
    return lines, vim.uv.fs_stat(path) and problem or nil
  end
  -- Enough for what is asked; a log may be large.
  local size = file:seek('end')
  file:seek('set', math.max(0, size - count * 1000))
  for line in file:lines() do
    local program = line:match('"rpc"%s+"([^"]*)"')
    if line:find('syncline', 1, true) then
      local level, moment = line:match('^%[(%u+)%]%[([%d%-: ]+)%]')
      local said = line:match('"stderr"%s+"(.*)"%s*$')
      if program and said then
        -- What is quoted in the log holds the server's line break.
        for part in said:gsub('\\n', '\n'):gsub('\\"', '"'):gsub('\27%[[%d;]*m', ''):gmatch('[^\n]+') do
          lines[#lines + 1] = ('%s  %s'):format(moment or '', part)
        end
      else
        lines[#lines + 1] = ('%s  %s  %s'):format(moment or '', level or '', line:match('\t(.*)$') or line)
      end
    end
  end
  file:close()
  return vim.list_slice(lines, math.max(1, #lines - count + 1))
end

--- Shows what servers have said, the latest last.
---@param count? integer
function M.show(count)
  local lines, problem = lines_of_ours(count or DEFAULT_LINES)
  if #lines == 0 then
    lines = { problem or 'The servers have said nothing.' }
  end
  vim.list_extend(lines, { '', 'From ' .. wording.path(vim.lsp.log.get_filename()) })
  vim.cmd('botright new')
  local bufnr = vim.api.nvim_get_current_buf()
  vim.bo[bufnr].buftype = 'nofile'
  vim.bo[bufnr].bufhidden = 'wipe'
  vim.bo[bufnr].swapfile = false
  vim.bo[bufnr].filetype = 'syncline-log'
  pcall(vim.api.nvim_buf_set_name, bufnr, 'syncline://log')
  vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, lines)
  vim.bo[bufnr].modifiable = false
  vim.api.nvim_win_set_cursor(0, { #lines, 0 })
  vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = bufnr, nowait = true })
end

return M
