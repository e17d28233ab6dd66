// No proxy at all: what Node's server costs by itself when it answers the same bytes.
import { createServer } from 'node:http'
import { serve } from '../lib/announce.mjs'
import { bodyOf } from '../lib/scenarios.mjs'

const body = bodyOf(Number(process.argv[3]))
const head = ['Content-Type', 'text/plain', 'Content-Length', String(body.length)]

serve(createServer((_req, res) => res.writeHead(200, head).end(body, 'latin1')))
