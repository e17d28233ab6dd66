import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { leakCheck } from '../kit/leak-check.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { variants } from './lib/numbered-proxy.mjs'
import { runSurface } from './lib/surface-run.mjs'

trapUnhandled()

describe('mutated messages through the assembled proxy', () => {
  it.each([
    { surface: 'requests', count: 960, least: 200, whole: 49 },
    { surface: 'responses', count: 384, least: 384, whole: 20 },
    // Behind a request come frames that end its connection: whether its answer is out by then is a matter of microseconds (6 to 9 are, seen).
    { surface: 'frames', count: 128, least: 20, whole: 3 },
  ])('$surface: nothing is smuggled, mixed up or left open', { timeout: 120_000 }, async (each) => {
    const leaks = leakCheck()
    const sum = { runs: 0, taken: 0, whole: 0 }
    for (const first of variants.keys()) {
      const { failure, runs, taken, answered } = await runSurface({
        ...each,
        seed: 1,
        first,
        step: variants.length,
      })
      expect(failure, variants[first]).toBeUndefined()
      sum.runs += runs
      sum.taken += taken
      sum.whole += answered[2] ?? 0
    }
    expect(sum.runs).toBe(each.count)
    // Else they would be too wild to get far.
    expect(sum.taken).toBeGreaterThanOrEqual(each.least)
    expect(sum.whole).toBeGreaterThanOrEqual(each.whole)
    await leaks.settled()
  })
})

describe('what passes bytes on as they come', () => {
  it.each(['requests', 'responses'])('fails by its %s', { timeout: 120_000 }, async (surface) => {
    const { failure } = await runSurface({ surface, count: 320, seed: 1, front: passing })
    expect(failure?.wrong).toMatch(/never meant|can't read in one way|made of those of two|no answer|left/)
  })
})

/** In place of a proxy: what each connection brings goes to the target, and back. */
function passing([url = '']: string[]) {
  const { port } = new URL(url)
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (from) => {
    const to = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true })
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {}).on('close', () => other.destroy())
      one.pipe(other)
    }
  })
  const proxy = {
    async listen() {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server.address() as AddressInfo
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return { proxy, asked: new Map() }
}
