import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/** What the program finds: `starve()` opens all the files that the process may still open but `free`, `feed()` closes them. */
const prelude = `
  import { closeSync, openSync } from 'node:fs'
  const held = []
  const starve = (free = 0) => {
    try { for (;;) held.push(openSync('/dev/null')) } catch {}
    for (let i = 0; i < free; i++) closeSync(held.pop())
  }
  const feed = () => held.splice(0).forEach((each) => closeSync(each))
`

/**
 * Runs a program, a module's text, in a process of its own that may open few files.
 * @param folder where what it imports is looked for
 * @returns what it has printed
 */
export async function outOfFiles(folder: URL, text: string): Promise<string> {
  const node = [process.execPath, '--input-type=module', '--eval', prelude + text]
  const run = promisify(execFile)
  const args = ['-c', 'ulimit -n 512 && exec "$0" "$@"', ...node]
  const { stdout } = await run('/bin/sh', args, { cwd: folder, timeout: 12_000 })
  return stdout
}
