--- A component for lualine: `sections = { lualine_x = { 'syncline' } }`.

local component = require('lualine.component'):extend()

function component:update_status()
  return require('syncline').statusline()
end

return component
