import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import { serve } from '../lib/announce.mjs'
import { fixedAnswer } from '../lib/fixed-answer.mjs'
import { scenarios } from '../lib/scenarios.mjs'

// No keep-alive timeout: a contender may rest for minutes between its rounds.
// The answer of a scenario is what a client gets. A proxy is given the whole, whatever it makes of it.
const scenario = { ...scenarios[process.argv[2]], status: 200 }

serve(createServer({ keepAliveTimeout: 0 }, fixedAnswer(scenario, randomUUID)))
