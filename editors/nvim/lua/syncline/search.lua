--- Searching: a query becomes a request, its matches become items, and items go to the quickfix list.

local client_of = require('syncline.client')
local config = require('syncline.config')
local quickfix = require('syncline.quickfix')
local wording = require('syncline.wording')

local M = {}

--- A query with the options' defaults for what isn't said.
---@param pattern string
---@param given? table
---@return syncline.Query
function M.query(pattern, given)
  local options = config.get().search
  return vim.tbl_extend('force', {
    pattern = pattern,
    regex = options.regex,
    case = options.case,
    word = options.word,
    globs = {},
  }, given or {})
end

--- Whether case counts.
---@param query syncline.Query
---@return boolean
function M.is_case_sensitive(query)
  if query.case == 'smart' then
    -- `\W`, `\pL` and the like are no letters of the text.
    local literal = query.regex and query.pattern:gsub('\\[pP]?.', '') or query.pattern
    return literal ~= vim.fn.tolower(literal)
  end
  return query.case ~= 'ignore'
end

--- Globs as people write them, `src *.rs !tests`, one after the other.
---@param text string
---@return string[]
function M.globs(text)
  return vim.split(text, '[%s,]+', { trimempty = true })
end

---@param query syncline.Query
local function params_of(query)
  local include, exclude = {}, {}
  for _, glob in ipairs(query.globs or {}) do
    if vim.startswith(glob, '!') then
      table.insert(exclude, glob:sub(2))
    else
      table.insert(include, glob)
    end
  end
  return {
    query = query.pattern,
    isRegex = query.regex == true,
    isCaseSensitive = M.is_case_sensitive(query),
    wholeWord = query.word == true,
    include = #include > 0 and include or nil,
    exclude = #exclude > 0 and exclude or nil,
    maxResults = query.max_results or config.get().search.max_results,
  }
end

--- A column in bytes.
---@param text string
---@param encoding string
---@param column integer
---@return integer
local function byte_column(text, encoding, column)
  if encoding == 'utf-8' or column == 0 then
    return column
  elseif vim.fn.has('nvim-0.11') == 1 then
    return vim.str_byteindex(text, encoding, column, false)
  end
  local ok, index = pcall(vim.str_byteindex, text, column, encoding == 'utf-16')
  return ok and index or #text
end

--- Turns matches into items.
---@param matches table[]
---@param encoding string
---@return syncline.Item[]
local function items_of(matches, encoding)
  local items, uri, path = {}, nil, nil
  for index, match in ipairs(matches) do
    if match.uri ~= uri then
      uri, path = match.uri, vim.uri_to_fname(match.uri)
    end
    local range, text = match.range, match.text
    items[index] = {
      path = path,
      lnum = range.start.line + 1,
      col = byte_column(text, encoding, range.start.character),
      end_col = byte_column(text, encoding, range['end'].character),
      text = text,
    }
  end
  return items
end

--- Searches; what is found goes to the sink as it is found, in path order.
---@param client vim.lsp.Client
---@param query syncline.Query
---@param sink syncline.Sink
---@return fun() cancel
function M.run(client, query, sink)
  return client_of.stream(client, 'syncline/search', params_of(query), function(value)
    sink.items(items_of(value.matches or {}, client.offset_encoding))
  end, function(problem, result)
    if problem then
      return sink.done(nil, problem)
    end
    if #result.matches > 0 then
      sink.items(items_of(result.matches, client.offset_encoding))
    end
    sink.done({ limit_hit = result.limitHit, fresh = result.fresh })
  end)
end

--- A query in words, for a title.
---@param query syncline.Query
---@return string
function M.describe(query)
  local parts = { query.regex and ('/%s/'):format(query.pattern) or query.pattern }
  if query.word then
    parts[#parts + 1] = 'whole words'
  end
  if M.is_case_sensitive(query) and query.case == 'sensitive' then
    parts[#parts + 1] = 'case counts'
  end
  if query.globs and #query.globs > 0 then
    parts[#parts + 1] = 'in ' .. table.concat(query.globs, ' ')
  end
  return table.concat(parts, ', ')
end

---@param items syncline.Item[]
---@return table[]
function M.quickfix_items(items)
  return vim.tbl_map(function(item)
    return {
      filename = item.path,
      lnum = item.lnum,
      col = item.col + 1,
      end_lnum = item.lnum,
      end_col = item.end_col + 1,
      text = item.text,
    }
  end, items)
end

---@type fun()?
local cancel_quickfix

--- Searches into a new quickfix list, which opens with the first match and grows as more come.
---@param client vim.lsp.Client
---@param query syncline.Query
---@param done? fun(count: integer)
function M.to_quickfix(client, query, done)
  if cancel_quickfix then
    cancel_quickfix()
  end
  local title = 'Syncline: ' .. M.describe(query)
  local asked = vim.api.nvim_get_current_win()
  local id, count, files, last_path
  count, files = 0, 0
  cancel_quickfix = M.run(client, query, {
    items = function(items)
      if #items == 0 then
        return
      end
      for _, item in ipairs(items) do
        files = files + (item.path ~= last_path and 1 or 0)
        last_path = item.path
      end
      count = count + #items
      if id then
        vim.fn.setqflist({}, 'a', { id = id, items = M.quickfix_items(items) })
      else
        vim.fn.setqflist({}, ' ', { title = title, items = M.quickfix_items(items), nr = '$' })
        id = vim.fn.getqflist({ id = 0 }).id
        quickfix.open(asked)
      end
    end,
    done = function(ended, problem)
      cancel_quickfix = nil
      if problem then
        client_of.notify(problem, vim.log.levels.ERROR)
      elseif count == 0 then
        client_of.notify(('nothing found for %s'):format(M.describe(query)))
      else
        local found = ('%s in %s'):format(wording.count(count, 'match', 'matches'), wording.count(files, 'file'))
        client_of.notify(ended and ended.limit_hit and found .. '; there are more, narrow the search' or found)
      end
      if done then
        done(count)
      end
    end,
  })
end

--- Lets `:grep` search with the index: the same regular expressions, flags and files as ripgrep's.
function M.use_for_grep()
  local cmd = client_of.lsp_config().cmd
  local program = type(cmd) == 'table' and cmd[1] or 'syncline'
  vim.o.grepprg = vim.fn.shellescape(program):gsub("^'([%w%-_./]+)'$", '%1') .. ' search --vimgrep'
  vim.o.grepformat = '%f:%l:%c:%m'
end

return M
