// Formats Lua files, or with --check names those that aren't formatted, by stylua and the `stylua.toml` beside this folder.
// node format.mjs STYLUA_PACKAGE [--check] FOLDER…

import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { argv, exit } from 'node:process'

const [stylua, ...rest] = argv.slice(2)
const { formatCode, Config, IndentType, LineEndings, OutputVerification, QuoteStyle, LuaVersion } =
  createRequire(import.meta.url)(stylua)
const check = rest[0] === '--check'
const folders = check ? rest.slice(1) : rest

const settings = Object.fromEntries(
  readFileSync(new URL('../stylua.toml', import.meta.url), 'utf8')
    .split('\n')
    .filter((line) => line.includes('='))
    .map((line) => line.split(' = ').map((word) => word.replaceAll('"', ''))),
)

function config() {
  const config = Config.new()
  config.column_width = Number(settings.column_width)
  config.indent_type = IndentType[settings.indent_type]
  config.indent_width = Number(settings.indent_width)
  config.quote_style = QuoteStyle[settings.quote_style]
  config.line_endings = LineEndings[settings.line_endings]
  config.syntax = LuaVersion[settings.syntax]
  return config
}

const files = folders.flatMap((folder) =>
  readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.lua'))
    .map((name) => join(folder, name)),
)
let wrong = 0
for (const file of files.sort()) {
  const text = readFileSync(file, 'utf8')
  const formatted = formatCode(text, config(), undefined, OutputVerification.Full)
  if (formatted !== text) {
    wrong += 1
    if (check) {
      const lines = text.split('\n')
      const first = formatted.split('\n').findIndex((line, index) => line !== lines[index])
      console.error(`${file}:${first + 1}: not formatted; \`cargo xtask test --format-lua\` fixes it`)
    } else {
      writeFileSync(file, formatted)
    }
  }
}
console.log(`${files.length} Lua files, ${wrong} ${check ? 'not formatted' : 'formatted'}`)
exit(check && wrong > 0 ? 1 : 0)
