// What one would pick for an Express app of one's own: the package compression as it comes, before a route that gives the answer.
import compression from 'compression'
import express from 'express'
import { serve } from '../lib/announce.mjs'
import { fixedAnswer } from '../lib/fixed-answer.mjs'
import { createFront } from '../lib/front.mjs'
import { scenario } from '../lib/told.mjs'

const app = express()
app.use(compression({ level: 6 }))
app.use(fixedAnswer(scenario))

serve(createFront(app))
