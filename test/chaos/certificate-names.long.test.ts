import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { within } from '../kit/until.js'
import { x509Root } from '../kit/x509.js'
import { x509Copies } from '../kit/x509-copies.js'

const program = fileURLToPath(new URL('certificate-names-process.mjs', import.meta.url))
const count = 10_000
const folder = mkdtempSync(join(tmpdir(), 'sluice-names-'))
const file = join(folder, 'pairs')

interface Told {
  readonly names: number
  readonly loadMs: number
  readonly loadedMB: number
  readonly servedMB: number
  readonly lookupUs: number
  readonly unknownUs: number
}

beforeAll(async () => {
  const issuer = await (await x509Root({ keyType: 'rsa' })).intermediate({ keyType: 'rsa' })
  const out = createWriteStream(file)
  for await (const { chain, key } of x509Copies(issuer, count))
    out.write(`${JSON.stringify({ cert: chain, key })}\n`)
  out.end()
  await once(out, 'finish')
}, 240_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

// At once: each is measured in a process of its own.
describe.concurrent('10,000 names', () => {
  it.each(['pairs', 'provider'])(
    'take less than 100 MB, with as many contexts as are kept, as %s',
    async (how) => {
      const child = fork(program, [file, how], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        // A small young generation: at its full 48 MB, which stay with the process, it would hide what is held.
        execArgv: ['--expose-gc', '--max-semi-space-size=1'],
      })
      try {
        const [told] = (await within(once(child, 'message'), 'the names to be held', 240_000)) as [Told]
        console.log(
          `${how}: ${told.names} names read in ${told.loadMs.toFixed(0)} ms of CPU, ${told.loadedMB.toFixed(1)} MB; all asked for: ${told.servedMB.toFixed(1)} MB`,
        )
        console.log(
          `${how}: a name is looked up in ${told.lookupUs.toFixed(2)} µs of CPU, an unknown one in ${told.unknownUs.toFixed(2)} µs`,
        )
        expect(told.names).toBe(count)
        expect(told.servedMB).toBeLessThan(100)
      } finally {
        child.kill('SIGKILL')
      }
    },
  )
})
