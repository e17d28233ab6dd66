import { serve } from '../lib/announce.mjs'
import { fixedAnswer } from '../lib/fixed-answer.mjs'

// No keep-alive timeout: a contender may rest for minutes between its rounds.
serve(fixedAnswer(Number(process.argv[2]), { keepAliveTimeout: 0 }))
