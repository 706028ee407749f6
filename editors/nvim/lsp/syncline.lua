--- Syncline as Neovim's own LSP client starts it: `vim.lsp.enable('syncline')`, Neovim 0.11 or newer. It needs nothing
--- else of this plugin, so the file may be copied alone into a `lsp/` folder of one's own.

local ROOT_MARKERS = { '.syncline.toml', '.git', '.jj', '.hg' }
-- Neovim sends the whole text of a buffer, which takes about 8 ms per MiB.
local MAX_BUFFER_BYTES = 4 * 1024 * 1024

---@type vim.lsp.Config
return {
  cmd = { 'syncline', 'lsp', '--stdio' },
  root_markers = ROOT_MARKERS,
  -- Typing has the first place. For changes in part, Neovim copies the list of all lines with each key; for whole texts
  -- it only notes that there is something to send, and sends it at most once a second, before a save is reported, and before
  -- a request about the buffer.
  flags = { allow_incremental_sync = false, debounce_text_changes = 1000 },
  -- The server sends the states of its codebases to clients that take them. (`capabilities` alone would stand for all others in
  -- Neovim 0.10.)
  before_init = function(params)
    local experimental = vim.tbl_extend('force', params.capabilities.experimental or {}, {
      syncline = { queueState = true },
    })
    params.capabilities = vim.tbl_extend('force', params.capabilities, { experimental = experimental })
  end,
  -- Any file below a root counts, whatever its type: no `filetypes`. A buffer without a file has no root; without this
  -- function it would count as a file of the folder that Neovim was started in.
  root_dir = function(bufnr, on_dir, markers)
    local name = vim.api.nvim_buf_get_name(bufnr)
    local is_file = vim.bo[bufnr].buftype == '' and name ~= '' and not name:match('^%a[%w+.-]+://')
    if not is_file or vim.api.nvim_buf_get_offset(bufnr, vim.api.nvim_buf_line_count(bufnr)) > MAX_BUFFER_BYTES then
      return
    end
    local config = vim.lsp.config and vim.lsp.config.syncline
    -- The plugin hands over markers; Neovim doesn't.
    local root = vim.fs.root(name, markers or config and config.root_markers or ROOT_MARKERS)
    if root then
      on_dir(root)
    end
  end,
}
