// Servers that aren't Node: a configuration and whatever they write in a folder that goes with them, in the foreground, on the
// loopback interface.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { announce, endWithTheRun } from './announce.mjs'
import { accepts, freePort } from './ports.mjs'
import { which } from './which.mjs'

/**
 * Starts such a server and tells the run of it.
 * @param program its name
 * @param files `(folder, port) => ({ name: content })` written to the folder
 * @param args `(folder, port) => arguments`
 */
export async function launch(program, files, args) {
  const binary = which(program)
  if (binary === undefined) throw new Error(`${program} isn't installed`)
  const folder = mkdtempSync(join(tmpdir(), `bench-${program}-`))
  // As root these servers hand their work to another user, who must be able to read here.
  chmodSync(folder, 0o755)
  const port = await freePort()
  for (const [name, content] of Object.entries(files(folder, port)))
    writeFileSync(join(folder, name), content)
  const child = spawn(binary, args(folder, port), { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => {
    said = (said + chunk).slice(-2000)
  })
  let stopping = false
  const gone = once(child, 'exit').then(() => {
    rmSync(folder, { recursive: true, force: true })
    if (stopping) return
    process.stderr.write(`${program} ended: ${said}\n`)
    process.exit(1)
  })
  const stop = async () => {
    stopping = true
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), 2000)
    await gone
    clearTimeout(timer)
  }
  endWithTheRun(stop)
  while (!(await accepts(port))) await delay(20)
  announce(port, child.pid)
}
