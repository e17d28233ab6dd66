import { createServer } from 'node:http'
import { serve } from '../lib/announce.mjs'
import { fixedAnswer } from '../lib/fixed-answer.mjs'
import { scenarios } from '../lib/scenarios.mjs'

// No keep-alive timeout: a contender may rest for minutes between its rounds.
serve(createServer({ keepAliveTimeout: 0 }, fixedAnswer(scenarios[process.argv[2]])))
