// npm's own programs, as scripts: their names alone aren't found on every system.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { node, run } from './run.mjs'

// One try more than the default, but after seconds instead of minutes: whoever has no network learns it soon.
const patience = {
  npm_config_fetch_retries: '3',
  npm_config_fetch_retry_mintimeout: '1000',
  npm_config_fetch_retry_factor: '2',
}

/**
 * Runs `npm` or `npx`, of the npm that runs us or the one beside Node.
 * @param {'npm' | 'npx'} program
 * @returns what `run` gives
 */
export function npm(program, args, options = {}) {
  const beside = dirname(process.execPath)
  const homes = [
    dirname(process.env.npm_execpath ?? beside),
    join(beside, 'node_modules/npm/bin'),
    join(beside, '../lib/node_modules/npm/bin'),
  ]
  const script = homes.map((home) => join(home, `${program}-cli.js`)).find((file) => existsSync(file))
  // CI: nobody is asked questions, since there may be nobody to answer.
  const all = { ...options, env: { ...patience, CI: 'true', ...options.env } }
  return script === undefined ? run(program, args, all) : node([script, ...args], all)
}
