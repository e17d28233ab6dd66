// What one would pick for an Express app of one's own: the apicache middleware, before a route that gives the answer.
import { randomUUID } from 'node:crypto'
import apicache from 'apicache'
import express from 'express'
import { serve } from '../lib/announce.mjs'
import { createFront } from '../lib/front.mjs'
import { bodyOf, etag } from '../lib/scenarios.mjs'
import { scenario } from '../lib/told.mjs'

const body = bodyOf(scenario.down)
const app = express()
app.use(apicache.middleware('1 hour'))
app.use((_req, res) => {
  // It keeps only what is set so, nothing of writeHead's.
  res.set({ 'Content-Type': 'text/plain', 'Cache-Control': scenario.control, ETag: etag })
  res.set('Origin-Stamp', randomUUID()).send(body)
})

serve(createFront(app))
