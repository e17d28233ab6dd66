// No proxy at all: what Node's server costs by itself when it gives the same answers.
import { serve } from '../lib/announce.mjs'
import { echo } from '../lib/echo.mjs'
import { fixedAnswer } from '../lib/fixed-answer.mjs'
import { createFront } from '../lib/front.mjs'
import { scenario } from '../lib/told.mjs'

serve(scenario.front === 'websocket' ? echo(createFront()) : createFront(fixedAnswer(scenario)))
