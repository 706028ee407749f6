---@meta
--- Types that editors check; nothing loads this file. The messages are those of `editors/PROTOCOL.md`.

error('types only')

---@alias syncline.Phase 'idle'|'waiting'|'syncing'|'paused'
---@alias syncline.Health 'ok'|'degraded'|'error'

---@class syncline.Codebase
---@field id string
---@field name string The folder's name
---@field root string Canonical, a `file:` URI

---@class syncline.Batch
---@field id string
---@field createdAt integer Unix milliseconds
---@field owner { host: string, pid: integer, self: boolean }
---@field files integer|'all'
---@field state 'waiting'|'syncing'

---@class syncline.LastSync
---@field id string
---@field outcome 'synced'|'failed'|'superseded'
---@field files integer
---@field durationMs integer
---@field finishedAt integer Unix milliseconds
---@field error? string

---@class syncline.State What `syncline/queueState` says of a codebase.
---@field codebase syncline.Codebase
---@field backend 'local'|'redis'
---@field health syncline.Health
---@field message? string
---@field phase syncline.Phase
---@field position? integer|vim.NIL
---@field queue syncline.Batch[]
---@field progress? { done: integer, total: integer, stage: 'scan'|'text'|'symbols' }
---@field lastSync? syncline.LastSync
---@field index { generation: integer, files: integer, symbols: integer, bytes: integer, pending: integer, fresh: boolean }

---@class syncline.Query What to search for.
---@field pattern string
---@field regex? boolean The pattern is a regular expression in ripgrep's dialect
---@field case? 'smart'|'sensitive'|'ignore' With 'smart', case counts when the pattern has an upper-case letter
---@field word? boolean Whole words only
---@field globs? string[] In the style of `.gitignore`; those that begin with `!` are left out
---@field max_results? integer

---@class syncline.Item One match, or one definition.
---@field path string
---@field lnum integer From 1
---@field col integer Bytes, from 0
---@field end_col integer Bytes, from 0, the first behind the match
---@field text string The line, or a definition's name
---@field kind? string Of a definition, for people: `Function`
---@field container? string What a definition is in

---@class syncline.SearchEnd How a search ended.
---@field limit_hit boolean There are more matches
---@field fresh boolean Every change that was on disk is in the answer

---@class syncline.Sink Where a search's results go. Nothing comes after `done`, and nothing after it was cancelled.
---@field items fun(items: syncline.Item[])
---@field done fun(ended?: syncline.SearchEnd, problem?: string)

---@class syncline.Options Options of `setup()` and `vim.g.syncline`; each may be left out.
---@field cmd? string[]
---@field autostart? boolean
---@field root_markers? string[]
---@field settings? table<string, any>
---@field grepprg? boolean
---@field border? string|string[]
---@field search? syncline.SearchOptions
---@field picker? syncline.PickerOptions
---@field signs? table<string, string>

---@class syncline.SearchOptions
---@field case? 'smart'|'sensitive'|'ignore'
---@field regex? boolean
---@field word? boolean
---@field max_results? integer

---@class syncline.PickerOptions
---@field width? number
---@field height? number
---@field preview? boolean
---@field max_results? integer
---@field keys? table<string, string|string[]|false>
