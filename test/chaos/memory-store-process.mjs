// Fills a memory store with small entries, in a process of its own, and says what that has taken. Arguments: how many entries it has
// room for, its bound in MB, and how many come after, of which each pushes another one out once it is full.
import { memoryStore } from '@sluice/cache'

const entries = Number(process.argv[2])
const store = memoryStore({ maxSize: Number(process.argv[3]) * 1024 ** 2 })
const after = Number(process.argv[4])
const bodySize = 100
const now = Date.now()
const body = Buffer.alloc(bodySize, 'x')

/** As a shop's pages come: ten fields, half of which differ from one to the next. */
function headOf(i) {
  const time = new Date(now - i * 1000).toUTCString()
  return {
    id: `e${i.toString(36)}`,
    primary: `http://shop.example.com/products/${i}?lang=en`,
    url: `http://shop.example.com/products/${i}?lang=en`,
    tags: [`product-${i}`],
    status: 200,
    headers: [
      ...['Date', new Date(now).toUTCString()],
      ...['Server', 'nginx/1.25.3'],
      ...['Content-Type', 'application/json; charset=utf-8'],
      ...['Content-Length', String(bodySize)],
      ...['Last-Modified', time],
      ...['ETag', `"${i.toString(16).padStart(16, '0')}"`],
      ...['Cache-Control', 'public, max-age=300, stale-while-revalidate=60'],
      ...['Vary', 'Accept-Encoding'],
      ...['Surrogate-Key', `product-${i}`],
      ...['X-Request-Id', `req-${(i * 7919).toString(36).padStart(12, '0')}`],
    ],
    requestTime: now + i,
    responseTime: now + i + 12,
    keepUntil: now + 3_600_000 + i,
    length: bodySize,
  }
}

function fill(from, to) {
  for (let i = from; i < to; i++) {
    const head = headOf(i)
    const writer = store.put(head.primary, head)
    writer.write(body)
    void writer.commit()
  }
}

function cpu(run) {
  const before = process.cpuUsage()
  run()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

const before = process.memoryUsage().rss
const first = cpu(() => fill(0, entries))
const { count, bytes } = store
const rss = process.memoryUsage().rss - before
const last = cpu(() => fill(entries, entries + after))
// What making the heads costs is no cost of the store.
const making = cpu(() => {
  for (let i = 0; i < entries; i++) headOf(i)
})
process.send({
  count,
  bytes,
  countAfter: store.count,
  bytesAfter: store.bytes,
  // What the first lot has taken beside its bodies.
  overBodies: rss - count * bodySize,
  // Microseconds of CPU to put an entry while there is room, and when another one has to go for it.
  withRoom: (first - making) / entries,
  withoutRoom: last / after - making / entries,
})
