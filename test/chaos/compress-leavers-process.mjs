// A proxy that compresses, with its target and clients that leave, in a process of its own: tells how many codecs waves of them have left open, and
// what memory, in bytes. Argument: how many leave, each with the next coding. Runs with --expose-gc.
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import { connect } from 'node:net'
import zlib from 'node:zlib'
import { codings } from '@sluice/compress'
import { createProxy } from 'sluice'

const count = Number(process.argv[2])
/** Half of it can be coded in fewer bytes: both kinds fill what a codec has. */
const bytes = Buffer.concat([randomBytes(150_000), Buffer.from(randomBytes(120_000).toString('base64'))])
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** Codecs that are open: the collector would close those that are forgotten, but late. */
let open = 0
let made = 0
for (const name of ['createGzip', 'createDeflate', 'createBrotliCompress', 'createZstdCompress']) {
  const make = zlib[name]
  if (make === undefined) continue
  const value = (...args) => {
    open++
    made++
    return make(...args).once('close', () => open--)
  }
  Object.defineProperty(zlib, name, { value })
}
syncBuiltinESMExports()

/** It never ends: nobody leaves after the end. */
const target = createServer((_req, res) => {
  res.writeHead(200, { 'Content-Type': 'text/plain' })
  res.write(bytes)
})
const listening = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
await listening(target)
const proxy = createProxy({
  upstreams: { site: `http://127.0.0.1:${target.address().port}` },
  // By size and load answers stay plain while the thread pool is behind, and here it is meant to be.
  compress: { level: { gzip: 6, deflate: 6, br: 5, zstd: 3 } },
})
const { port } = await proxy.listen(0)

/** Leaves with the head, in mid-body, or having stopped to read. */
async function leave(i) {
  const coding = codings[i % codings.length]
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  socket.write(`GET / HTTP/1.1\r\nHost: a.example\r\nAccept-Encoding: ${coding}\r\n\r\n`)
  const first = await new Promise((resolve) => socket.once('data', resolve))
  if (!first.toString('latin1').includes(`Content-Encoding: ${coding}`))
    throw new Error(first.toString('latin1'))
  if (i % 3 === 0) socket.pause()
  for (let turns = i % 7; turns > 0; turns--) await turn()
  await new Promise((resolve) => socket.once('close', resolve).resetAndDestroy())
}

const targets = [...proxy.upstreams.values()].flatMap(({ all }) => [...all])
const inFlight = () => targets.reduce((sum, each) => sum + each.inFlight, 0)

async function wave(size) {
  for (let i = 0; i < size; i += 20) await Promise.all(Array.from({ length: 20 }, (_, k) => leave(i + k)))
  // Leases go when the proxy has seen that its client has left.
  while (inFlight() > 0) await turn()
  // Those at work in the thread pool are closed when that is done.
  for (let turns = 0; open > 0 && turns < 10_000; turns++) await turn()
  if (open > 0) throw new Error(`${open} of ${made} codecs are open still`)
}

/** Memory that is let go comes back after some turns, when handles have closed. */
async function rss() {
  for (let i = 0; i < 10; i++) {
    globalThis.gc()
    await turn()
  }
  return process.memoryUsage().rss
}

// The allocator keeps what the busiest moment took: the first waves show how much that is.
for (let i = 0; i < 3; i++) await wave(count * 0.1)
const before = await rss()
const waves = []
for (let i = 0; i < 7; i++) {
  await wave(count * 0.1)
  waves.push((await rss()) - before)
}
process.send({ waves, made })
