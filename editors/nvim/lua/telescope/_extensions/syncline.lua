--- `:Telescope syncline`; `require('telescope').load_extension('syncline')` is optional.

local source = require('syncline.sources.telescope')

return require('telescope').register_extension({
  exports = { syncline = source.search, search = source.search, symbols = source.symbols },
})
