import { type ChildProcess, execFile, fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { httpClient } from '../kit/client.js'
import { owner } from '../kit/owner.js'
import { skipUnless } from '../kit/skip.js'
import { until, within } from '../kit/until.js'

const program = fileURLToPath(new URL('slow-clients-process.mjs', import.meta.url))
const own = owner()

const hasSlowHttpTest = spawnSync('slowhttptest', ['-h']).error === undefined
const skips = skipUnless(hasSlowHttpTest, 'slowhttptest is not installed')

/** Connections of an attack. */
const count = 1_000
/** A tenth of the defaults, so that all of it takes a minute or so. */
const limits = { head: 3_000, slow: { minRate: 240, grace: 3_000, readGrace: 6_000 } }

interface Stats {
  readonly refused: Record<string, number>
  readonly connections: number
}

let child: ChildProcess
let port: number
const faults: string[] = []
let answer: Stats | undefined

beforeAll(async () => {
  child = fork(program, [JSON.stringify(limits)])
  child.on('message', (message: { fault?: string; stats?: Stats }) => {
    if (message.fault !== undefined) faults.push(message.fault)
    answer = message.stats
  })
  const [message] = (await within(once(child, 'message'), 'the proxy to listen', 60_000)) as [
    { port: number },
  ]
  port = message.port
}, 70_000)

afterAll(() => child.kill('SIGKILL'))

async function stats(): Promise<Stats> {
  await new Promise((resolve) => setTimeout(resolve, 100))
  answer = undefined
  child.send('stats')
  return await until(() => answer, 'what it has refused')
}

/** Runs an attack that would go on for ten minutes. */
function attack(args: readonly string[]): void {
  const all = [...args, '-c', String(count), '-r', '500', '-l', '600', '-p', '60', '-v', '0']
  const running = execFile('slowhttptest', all, { maxBuffer: 64 * 1024 ** 2 }, () => {})
  own({ close: () => void running.kill('SIGKILL') })
}

describe.skipIf(skips)('1,000 connections of slowhttptest', () => {
  it.each([
    ['heads', ['-H', '-i', '1', '-x', '8'], '/', 'request-timeout'],
    ['bodies', ['-B', '-i', '1', '-x', '8', '-s', '8192'], '/', 'body-too-slow'],
    ['readers', ['-X', '-w', '256', '-y', '512', '-n', '1', '-z', '8'], '/large', 'reader-too-slow'],
  ])(
    'that are slow as %s are all cut, and others are served',
    async (_what, args, path, reason) => {
      const refused = async (): Promise<number> => (await stats()).refused[reason] ?? 0
      const before = await refused()
      const client = own(httpClient({ port }))
      attack([...args, '-u', `http://127.0.0.1:${port}${path}`])
      let served = 0
      const allCut = until(async () => (await refused()) - before >= count, 'the end of all', 170_000)
      let isOver = false
      void allCut.finally(() => {
        isOver = true
      })
      while (!isOver) {
        const { status } = await client.ask({ path: '/' })
        expect(status).toBe(200)
        served++
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      await allCut
      expect(served).toBeGreaterThan(100)
      // What is left is the one that is ours.
      await until(async () => (await stats()).connections <= 1, 'the end of the last one')
      expect((await refused()) - before).toBe(count)
      expect(faults).toEqual([])
    },
    200_000,
  )
})
