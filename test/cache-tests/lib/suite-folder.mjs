// Where the suite is installed: outside of the workspace, since it brings an npm of years ago with it.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { at } from '../../../scripts/lib/workspace.mjs'
import { RunError } from './run-error.mjs'

/** The package and its version: the newest there is. */
export const suitePackage = 'http-cache-tests@0.4.5'

/**
 * The folder of the suite's package, which is installed first where it isn't there yet.
 * @throws RunError if it can't be
 */
export async function suiteFolder() {
  const home = at('.build', suitePackage)
  const folder = join(home, 'node_modules', 'http-cache-tests')
  if (existsSync(folder)) return folder
  console.log(`installing ${suitePackage} …`)
  // Loaded here alone: what starts programs there listens for signals.
  const { npm } = await import('../../../scripts/lib/npm.mjs')
  const fresh = `${home}.${process.pid}`
  try {
    mkdirSync(fresh, { recursive: true })
    // npm looks upwards for a folder with a manifest, and would find the workspace.
    writeFileSync(join(fresh, 'package.json'), '{ "private": true }\n')
    const flags = ['--no-save', '--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund']
    const { code, output } = await npm('npm', ['install', ...flags, '--prefix', fresh, suitePackage], {
      quiet: true,
    })
    if (code !== 0)
      throw new RunError(
        `${suitePackage} can't be installed, so nothing was run. It comes from npm's registry: is there a network? npm says:\n${output}`,
      )
    rmSync(home, { recursive: true, force: true })
    mkdirSync(dirname(home), { recursive: true })
    renameSync(fresh, home)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
  return folder
}
