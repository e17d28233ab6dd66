// Codes bodies in a process of its own and says what that has taken of memory, in bytes. Arguments: `aborts`, how many and a coding:
// bodies whose taker leaves, in waves; or `held`, how many, a coding and a level: bodies in use, all at once. Runs with --expose-gc.
import { randomBytes } from 'node:crypto'
import { encodeBody } from '@sluice/compress'
import { PushBody } from '@sluice/core'

const [, , what, countOf, coding, levelOf] = process.argv
const count = Number(countOf)
/** Half of it can be coded in fewer bytes: both kinds fill what a codec has. */
const bytes = Buffer.concat([randomBytes(150_000), Buffer.from(randomBytes(120_000).toString('base64'))])
const piece = 30_000
const turn = () => new Promise((resolve) => setImmediate(resolve))

class Source extends PushBody {
  give(at) {
    return this.push(bytes.subarray(at, at + piece))
  }
  resume() {}
  stop() {}
}

/** Memory that is let go comes back after some turns, when handles have closed. */
async function rss() {
  for (let i = 0; i < 10; i++) {
    globalThis.gc()
    await turn()
  }
  return process.memoryUsage().rss
}

const taker = (room) => ({ write: () => room, end() {}, abort() {}, onDrain() {} })

function begin(level, flush, room) {
  const source = new Source()
  const body = encodeBody(source, coding, { level, flush })
  body.pipe(taker(room))
  return { source, body }
}

/** A taker leaves before the first byte, with a job in the thread pool, between two, or while it takes nothing. */
async function abort(i) {
  const { source, body } = begin(4, i % 2 === 0 ? 'pause' : 'event', i % 3 !== 0)
  for (let at = 0; at < (i % 5) * piece; at += piece) source.give(at)
  for (let turns = i % 4; turns > 0; turns--) await turn()
  body.cancel(new Error('left'))
  return body
}

/** The bodies themselves are kept for as long as the next wave comes: what they held must be free all the same, and not by the collector. */
let kept = []

async function wave(size) {
  kept = []
  for (let i = 0; i < size; i += 50)
    kept.push(...(await Promise.all(Array.from({ length: 50 }, (_, k) => abort(i + k)))))
}

if (what === 'aborts') {
  // The allocator keeps what the busiest moment took: the first waves show how much that is.
  for (let i = 0; i < 3; i++) await wave(count * 0.1)
  const before = await rss()
  const waves = []
  for (let i = 0; i < 7; i++) {
    await wave(count * 0.1)
    waves.push((await rss()) - before)
  }
  process.send({ waves })
} else {
  const before = await rss()
  const bodies = []
  for (let i = 0; i < count; i++) {
    const { source, body } = begin(Number(levelOf), 'pause', true)
    bodies.push(body)
    for (let at = 0; at < bytes.length; at += piece) {
      source.give(at)
      await turn()
    }
  }
  // Until the thread pool has done all that was asked of it.
  let told = 0
  for (let same = 0; same < 20; ) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    const now = process.cpuUsage().user
    same = now - told < 2_000 ? same + 1 : 0
    told = now
  }
  process.send({ each: ((await rss()) - before) / bodies.length })
}
