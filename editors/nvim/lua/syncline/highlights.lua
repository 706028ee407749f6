--- Highlight groups, each linked to what a colour scheme has.

local M = {}

M.links = {
  SynclineNormal = 'NormalFloat',
  SynclineBorder = 'FloatBorder',
  SynclineTitle = 'FloatTitle',
  SynclineSelected = 'CursorLine',
  SynclinePath = 'Directory',
  SynclineLineNr = 'LineNr',
  SynclineMatch = 'Search',
  SynclineKind = 'Type',
  SynclineHint = 'Comment',
  SynclineKey = 'Special',
  SynclineToggle = 'DiagnosticInfo',
  SynclineOk = 'DiagnosticOk',
  SynclineBusy = 'DiagnosticInfo',
  SynclinePaused = 'DiagnosticWarn',
  SynclineWarn = 'DiagnosticWarn',
  SynclineError = 'DiagnosticError',
}

--- 'winhighlight' of the plugin's windows.
M.WINDOW = table.concat({
  'NormalFloat:SynclineNormal',
  'FloatBorder:SynclineBorder',
  'FloatTitle:SynclineTitle',
  'FloatFooter:SynclineHint',
  'CursorLine:SynclineSelected',
}, ',')

--- Defines those that nobody has defined.
function M.define()
  for name, target in pairs(M.links) do
    vim.api.nvim_set_hl(0, name, { link = target, default = true })
  end
end

return M
