// The floor, which clients speak to without TLS whatever the scenario says: what TLS adds to Node's own server.
import { createServer } from 'node:http'
import { serve } from '../lib/announce.mjs'
import { fixedAnswer } from '../lib/fixed-answer.mjs'
import { scenario } from '../lib/told.mjs'

serve(createServer(fixedAnswer(scenario)))
