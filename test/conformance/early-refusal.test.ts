import { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { toBody, toReadable } from '@sluice/core'
import { type Attempt, resolveTimeouts, wireTransport } from '@sluice/forward'
import { createUpstream, type Target } from '@sluice/upstream'
import { describe, expect, it } from 'vitest'
import { leakCheck } from '../kit/leak-check.js'
import { owner } from '../kit/owner.js'
import { program } from '../kit/program.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'
import { within } from '../kit/until.js'

trapUnhandled()
const own = owner()

const piece = Buffer.alloc(16 * 1024, 'x')
const pieces = 200

/** An upload in small pieces: a write for each, so that one of them meets the reset. */
function* upload(): Generator<Buffer> {
  for (let i = 0; i < pieces; i++) yield piece
}

describe('a target that answers 413 in the midst of an upload and then resets the connection', () => {
  it('is heard: 300 of 300 answers are relayed', async () => {
    const script = fileURLToPath(new URL('refusing-target.mjs', import.meta.url))
    const process = own(program([script]))
    const [, port] = await process.says(/port (\d+)/)
    const leaks = leakCheck()
    const target = createUpstream({ name: 'u', targets: [`http://127.0.0.1:${port}`] }).all[0] as Target
    const transport = wireTransport()
    own({ close: () => transport.close(true) })
    const once = async (index: number): Promise<string> => {
      const length = index % 2 === 0 ? ['Content-Length', String(pieces * piece.length)] : []
      const body = toBody(Readable.from(upload(), { objectMode: false, highWaterMark: piece.length }))
      if (index % 2 === 0) (body as { length?: number }).length = pieces * piece.length
      const attempt: Attempt = {
        target,
        out: { method: 'POST', path: '/', headers: length, body },
        timeouts: resolveTimeouts(),
        inform() {},
      }
      try {
        const reply = await transport.send(attempt)
        let text = ''
        for await (const chunk of toReadable(reply.body)) text += String(chunk)
        return `${reply.status} ${text}`
      } catch (error) {
        return (error as { code?: string }).code ?? String(error)
      }
    }
    const heard: Record<string, number> = {}
    for (let round = 0; round < 60; round++) {
      const answers = await within(
        Promise.all([0, 1, 2, 3, 4].map((i) => once(round * 5 + i))),
        'the answers',
      )
      for (const answer of answers) heard[answer] = (heard[answer] ?? 0) + 1
    }
    expect(heard).toEqual({ '413 too large': 300 })
    await transport.close()
    await leaks.settled()
  })
})
