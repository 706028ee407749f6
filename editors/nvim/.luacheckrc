-- What luacheck checks the plugin and its tests by. Run by `cargo xtask test`.
std = 'luajit'
cache = false
globals = { 'vim' }
self = false
-- stylua sees to that.
max_line_length = false
