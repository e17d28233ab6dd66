// compress() in a chain whose handler gives the answer itself: no proxy, and no framework.
import { compress } from '@sluice/compress'
import { chain, fromListener, toListener } from '@sluice/core'
import { serve } from '../lib/announce.mjs'
import { types } from '../lib/contents.mjs'
import { fixedAnswer } from '../lib/fixed-answer.mjs'
import { createFront } from '../lib/front.mjs'
import { answerOf } from '../lib/scenarios.mjs'
import { scenario } from '../lib/told.mjs'

const text = answerOf(scenario)
const body = text.length > 16 * 1024 ? Buffer.from(text, 'latin1') : text
const headers = ['Content-Type', types[scenario.content], 'Content-Length', String(body.length)]
const whole = () => ({ status: 200, headers, body })
const answer = scenario.pause > 0 ? fromListener(fixedAnswer(scenario)) : whole

serve(
  createFront(
    toListener(
      chain()
        .use(compress({ encodings: ['gzip'], level: { gzip: 6 } }))
        .handle(answer),
    ),
  ),
)
