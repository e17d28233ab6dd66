import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'

/**
 * A Node binary that contenders are to run with.
 * @returns `{ path, version }`
 * @throws Error if it is none
 */
export function nodeBinary(file) {
  const path = resolve(file)
  try {
    const version = execFileSync(path, ['--version'], { encoding: 'utf8', timeout: 5000 }).trim()
    if (/^v\d+\.\d+\.\d+/.test(version)) return { path, version }
  } catch {
    // Told below.
  }
  throw new Error(`--node: '${file}' is no Node binary`)
}
