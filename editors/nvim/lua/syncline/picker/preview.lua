--- The picker's preview: the text around a match, as it is in the buffer or else in the file.

local M = {}

--- Larger files aren't read for a look at them.
local MAX_BYTES = 4 * 1024 * 1024
local namespace = vim.api.nvim_create_namespace('syncline-preview')

--- The buffer that has a file open, loaded.
local function open_buffer(path)
  local bufnr = vim.fn.bufnr('^' .. vim.fn.escape(path, '*?[]{},\\') .. '$')
  if bufnr > 0 and vim.api.nvim_buf_is_loaded(bufnr) then
    return bufnr
  end
end

--- The lines of a file as Neovim would show them, or why there are none.
---@param path string
---@return string[]?, string?
local function read(path)
  local bufnr = open_buffer(path)
  if bufnr then
    return vim.api.nvim_buf_get_lines(bufnr, 0, -1, false)
  end
  local file, problem = io.open(path, 'rb')
  if not file then
    return nil, problem
  end
  local text = file:read(MAX_BYTES + 1) or ''
  file:close()
  if #text > MAX_BYTES then
    return nil, 'The file is too large for a preview.'
  end
  -- What a line of a buffer can't hold.
  text = text:gsub('\r\n', '\n'):gsub('%z', '␀')
  local lines = vim.split(text, '\n', { plain = true })
  if lines[#lines] == '' then
    lines[#lines] = nil
  end
  return lines
end

--- Colours the buffer as its file would be: by tree-sitter where there is a parser, or else by syntax.
local function colour(bufnr, path)
  vim.treesitter.stop(bufnr)
  vim.bo[bufnr].syntax = ''
  local filetype = vim.filetype.match({ filename = path, buf = bufnr })
  if filetype then
    local language = vim.treesitter.language.get_lang(filetype)
    if not (language and pcall(vim.treesitter.start, bufnr, language)) then
      vim.bo[bufnr].syntax = filetype
    end
  end
end

--- Shows an item in the preview's window.
---@param window integer
---@param item? syncline.Item
---@param title string
function M.show(window, item, title)
  local bufnr = vim.api.nvim_win_get_buf(window)
  if vim.api.nvim_win_get_config(window).title then
    vim.api.nvim_win_set_config(window, { title = { { (' %s '):format(title), 'SynclineTitle' } }, title_pos = 'left' })
  end
  vim.wo[window].number = item ~= nil
  vim.wo[window].cursorline = item ~= nil
  if not item then
    vim.b[bufnr].syncline_path = nil
    vim.treesitter.stop(bufnr)
    vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, {})
    return
  end
  if vim.b[bufnr].syncline_path ~= item.path then
    local lines, problem = read(item.path)
    vim.b[bufnr].syncline_path = item.path
    vim.api.nvim_buf_set_lines(bufnr, 0, -1, false, lines or { '', '  ' .. problem })
    if lines then
      colour(bufnr, item.path)
    end
  end
  vim.api.nvim_buf_clear_namespace(bufnr, namespace, 0, -1)
  if item.lnum > vim.api.nvim_buf_line_count(bufnr) then
    return
  end
  local line = vim.api.nvim_buf_get_lines(bufnr, item.lnum - 1, item.lnum, false)[1]
  if item.end_col > item.col and item.col < #line then
    vim.api.nvim_buf_set_extmark(bufnr, namespace, item.lnum - 1, item.col, {
      end_col = math.min(item.end_col, #line),
      hl_group = 'SynclineMatch',
      priority = 250,
    })
  end
  vim.api.nvim_win_set_cursor(window, { item.lnum, math.min(item.col, #line) })
  vim.api.nvim_win_call(window, function()
    vim.cmd('normal! zz')
  end)
end

return M
