// A proxy that compresses, before a target that doesn't: what each kind of answer becomes for clients of each coding that this Node has.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { codings } from '@sluice/compress'
import { createProxy } from 'sluice'

const people = Array.from({ length: 120 }, (_, i) => ({
  id: i,
  name: `Person ${i}`,
  mail: `person-${i}@example.org`,
  joined: new Date(Date.UTC(2024, 0, i)).toISOString(),
}))
const row = ({ id, name, mail }) =>
  `<tr id="${id}"><td>${name}</td><td><a href="mailto:${mail}">${mail}</a></td></tr>\n`

/** Each answer: its media type, and its body in the parts that it is written in. */
const answers = {
  '/people.json': ['application/json', [JSON.stringify(people)]],
  '/people.html': ['text/html', [`<!doctype html>\n<table>\n${people.map(row).join('')}</table>\n`]],
  '/photo.png': ['image/png', [randomBytes(8000)]],
  '/events': ['text/event-stream', people.map((person) => `data: ${JSON.stringify(person)}\n\n`)],
}

function createTarget() {
  return createServer(async (req, res) => {
    const [type, parts] = answers[req.url]
    res.setHeader('Content-Type', type)
    if (parts.length === 1) return void res.end(parts[0])
    for (const part of parts) {
      res.write(part)
      await new Promise(setImmediate)
    }
    res.end()
  })
}

/** Asks for `path` as a client that takes `coding`: the coding that came, and the bytes of the body. */
async function ask(port, path, coding) {
  const req = request({ port, path, host: '127.0.0.1', headers: { 'Accept-Encoding': coding } }).end()
  const [res] = await once(req, 'response')
  let bytes = 0
  for await (const chunk of res) bytes += chunk.length
  return { coding: res.headers['content-encoding'], bytes }
}

/**
 * Starts both, asks for everything in each coding, and ends both.
 * @returns {Promise<Record<string, Record<string, { coding: string | undefined, bytes: number }>>>} by path and coding asked for
 */
export async function measure() {
  const target = createTarget().listen(0, '127.0.0.1')
  await once(target, 'listening')
  const proxy = createProxy({
    upstreams: { site: `http://127.0.0.1:${target.address().port}` },
    compress: true,
  })
  try {
    const { port } = await proxy.listen()
    const found = {}
    for (const path of Object.keys(answers)) {
      found[path] = {}
      for (const coding of ['identity', ...codings]) found[path][coding] = await ask(port, path, coding)
    }
    return found
  } finally {
    await proxy.close()
    target.close()
    target.closeAllConnections()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const found = await measure()
  const line = (cells) =>
    console.log(cells.map((cell, i) => (i === 0 ? cell.padEnd(14) : cell.padStart(16))).join(''))
  line(['', 'plain', ...codings])
  for (const [path, { identity, ...coded }] of Object.entries(found)) {
    const cells = Object.values(coded).map(({ coding, bytes }) =>
      coding === undefined ? 'as it is' : `${bytes} B (${Math.round((100 * bytes) / identity.bytes)} %)`,
    )
    line([path, `${identity.bytes} B`, ...cells])
  }
}
