// A cache in a process of its own, asked for many URLs once or a few times each, which tells how much memory it takes. Arguments: how many
// URLs, and bytes of the store.
import { createCache } from '@sluice/cache'
import { discard } from '@sluice/core'

const [urls, maxSize] = process.argv.slice(2).map(Number)
const block = Buffer.alloc(65_536)
for (let i = 0; i < block.length; i++) block[i] = (i * 31 + (i >> 8)) & 255

const sizeOf = (id) => (id * 7919) % 20_000
const bodyOf = (id) => block.subarray(id % 1_000, (id % 1_000) + sizeOf(id))
let [hits, wrong, fetches] = [0, 0, 0]
let now = Date.now()
const cache = createCache({ maxSize, clock: () => now, staleWhileRevalidate: '10s' })

async function* pieces(body) {
  for (let at = 0; at < body.length; at += 4_096) yield body.subarray(at, at + 4_096)
}

/** Some come at once, some in pieces, some vary, some may not be stored, and some fail. */
async function fetch(_, id) {
  fetches++
  const fields = [
    'Cache-Control',
    id % 13 === 0 ? 'private' : `max-age=${10 + (id % 50)}`,
    'ETag',
    `"${id}"`,
    'Cache-Tag',
    `t${id % 7}`,
  ]
  if (id % 5 === 0) fields.push('Vary', 'X-Kind')
  if (id % 101 === 0) throw new Error('no answer')
  if (id % 3 === 0) {
    const { Readable } = await import('node:stream')
    return { status: 200, headers: fields, body: Readable.from(pieces(bodyOf(id))) }
  }
  return { status: 200, headers: fields, body: bodyOf(id) }
}

const { toReadable } = await import('@sluice/core')
async function ask(id, kind) {
  const request = {
    method: 'GET',
    scheme: 'http',
    authority: 'a.example',
    path: `/page/${id}`,
    headers: ['X-Kind', String(kind)],
  }
  let reply
  try {
    reply = await cache.handle(request, fetch, id)
  } catch {
    return
  }
  if (reply.headers.some((text) => text.includes('; hit;'))) hits++
  // Some leave before the end.
  if (id % 17 === 0) return discard(reply)
  const body =
    reply.body instanceof Uint8Array || reply.body === null
      ? reply.body
      : Buffer.concat(await toReadable(reply.body).toArray())
  if (Buffer.compare(body ?? Buffer.alloc(0), bodyOf(id)) !== 0) wrong++
}

const samples = []
for (let id = 0; id < urls; id += 10) {
  const group = []
  for (let i = id; i < id + 10; i++) group.push(ask(i, i % 3), ask(Math.max(0, i - ((i * 37) % 200)), i % 3))
  await Promise.all(group)
  // An hour in all.
  now += 3_600_000 / (urls / 10)
  if (id % 5_000 === 0) await cache.purge({ tag: `t${(id / 5_000) % 7}` })
  if (id % (urls / 20) === 0) {
    global.gc?.()
    samples.push(process.memoryUsage().rss)
  }
}
process.send({ samples, hits, wrong, fetches })
