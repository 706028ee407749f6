--- What is there from the start: `:Syncline`, `<Plug>` mappings, and listening to files that are opened.

if vim.g.loaded_syncline then
  return
end
vim.g.loaded_syncline = true

if vim.fn.has('nvim-0.10') == 0 then
  vim.notify(
    'syncline: Neovim 0.10 or newer is needed; this one is older, so the plugin does nothing',
    vim.log.levels.WARN
  )
  return
end

vim.api.nvim_create_user_command('Syncline', function(opts)
  require('syncline.commands').run(opts)
end, {
  nargs = '*',
  bang = true,
  range = true,
  desc = 'Search, and the queue: :help :Syncline',
  complete = function(lead, line)
    return require('syncline.commands').complete(lead, line)
  end,
})

--- A count typed before a mapping: at most so many results.
local function count()
  return vim.v.count > 0 and vim.v.count or nil
end

vim.keymap.set('n', '<Plug>(syncline-search)', function()
  require('syncline').search({ pattern = '', max_results = count() })
end, { desc = 'Syncline: search' })
vim.keymap.set('n', '<Plug>(syncline-word)', function()
  require('syncline').search({ pattern = vim.fn.expand('<cword>'), word = true, max_results = count() })
end, { desc = 'Syncline: search the word under the cursor' })
vim.keymap.set('x', '<Plug>(syncline-search)', ':Syncline search<CR>', { silent = true, desc = 'Syncline: search' })
vim.keymap.set('n', '<Plug>(syncline-symbols)', function()
  require('syncline').symbols({ pattern = '', max_results = count() })
end, { desc = 'Syncline: symbols' })
vim.keymap.set('n', '<Plug>(syncline-queue)', '<Cmd>Syncline queue<CR>', { desc = 'Syncline: the queue' })

require('syncline.client').listen()

-- `b:syncline_status`, which has nothing to say before the first state.
vim.api.nvim_create_autocmd('User', {
  pattern = 'SynclineState',
  once = true,
  callback = function()
    require('syncline.statusline').draw()
  end,
})
