// For the measurement of memory: GET /BYTES gives so many, as fast as they are taken; what is uploaded is read slowly, and
// the answer tells how much it was.
import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { serve } from '../lib/announce.mjs'
import { pieces, readPaced } from '../lib/paced.mjs'

async function answer(req, res) {
  if (req.method === 'GET') {
    const bytes = Number(req.url.slice(1))
    res.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': String(bytes) })
    await pipeline(Readable.from(pieces(bytes)), res)
  } else {
    res.end(String(await readPaced(req)))
  }
}

serve(createServer({ keepAliveTimeout: 0 }, (req, res) => answer(req, res).catch(() => res.destroy())))
