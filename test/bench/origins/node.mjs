import { createServer } from 'node:http'
import { serve } from '../lib/announce.mjs'
import { bodyOf } from '../lib/scenarios.mjs'

const body = bodyOf(Number(process.argv[2]))
const head = ['Content-Type', 'text/plain', 'Content-Length', String(body.length)]

// No keep-alive timeout: a contender may rest for minutes between its rounds.
serve(createServer({ keepAliveTimeout: 0 }, (_req, res) => res.writeHead(200, head).end(body, 'latin1')))
