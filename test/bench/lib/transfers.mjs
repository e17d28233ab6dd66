// One large body through a proxy, the sender always faster than the receiver.
import { once } from 'node:events'
import { request } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { pieces, readPaced } from './paced.mjs'

/**
 * Reads so many bytes, slowly.
 * @throws Error if they don't all come
 */
export async function download(address, bytes, signal) {
  const req = request(`${address}${bytes}`, { signal, agent: false }).end()
  const [res] = await once(req, 'response')
  expectStatus(res)
  expect(await readPaced(res), bytes)
}

/**
 * Sends so many bytes, which the origin reads slowly.
 * @throws Error if they don't all arrive
 */
export async function upload(address, bytes, signal) {
  const headers = { 'Content-Type': 'text/plain', 'Content-Length': bytes }
  const req = request(address, { method: 'PUT', headers, signal, agent: false })
  const answered = once(req, 'response')
  const [[res]] = await Promise.all([answered, pipeline(Readable.from(pieces(bytes)), req)])
  expectStatus(res)
  expect(Number(await text(res)), bytes)
}

function expectStatus({ statusCode }) {
  if (statusCode !== 200) throw new Error(`answers with status ${statusCode}`)
}

function expect(got, wanted) {
  if (got !== wanted) throw new Error(`${got} of ${wanted} bytes came through`)
}
