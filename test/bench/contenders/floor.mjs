// No proxy at all: what Node's server costs by itself when it answers the same bytes.
import { serve } from '../lib/announce.mjs'
import { fixedAnswer } from '../lib/fixed-answer.mjs'

serve(fixedAnswer(Number(process.argv[3])))
