import { setTimeout as delay } from 'node:timers/promises'
import { clientOf } from './clients.mjs'
import { bodyOf, etag } from './scenarios.mjs'

/**
 * Asks a contender three times, before it is measured: fast and wrong is no result.
 * @param ca certificate of the contender, where it speaks TLS
 * @param keeps whether it is to keep what it may: a hit that isn't one, or an answer that is kept against its word, is wrong too
 * @throws Error that says what was wrong
 */
export async function validate(address, scenario, ca, keeps) {
  // A conditional request is about what one has been given before.
  if (keeps && scenario.status === 304)
    await validate(address, { ...scenario, status: 200, fields: {} }, ca, keeps)
  const client = clientOf(address, scenario, ca)
  const { up, down, front, status: expected, control } = scenario
  const wanted = expected === 304 ? '' : bodyOf(down)
  const stamps = []
  try {
    for (let i = 0; i < 3; i++) {
      // One path for all: whether an answer is kept shows when it is asked for again. Some keep it only after it has gone out.
      if (i > 0 && control !== undefined) await delay(50)
      const { status, body, received, fields } = await client.ask()
      if (status !== expected) throw new Error(`answers with status ${status}`)
      if (body !== wanted) throw new Error(`answers with other bytes (${body.length} of ${wanted.length})`)
      if (up > 0 && front !== 'websocket' && !(received >= up))
        throw new Error(`hands on ${received} of ${up} bytes`)
      if (control === undefined) continue
      if (fields.etag !== etag) throw new Error(`answers with the ETag ${fields.etag}`)
      stamps.push(fields['origin-stamp'])
    }
  } finally {
    client.close()
  }
  if (control === undefined) return
  const kept = stamps[1] === stamps[2]
  if (keeps && control !== 'no-store' && !kept) throw new Error('asks the origin for what it could have kept')
  if (keeps && control === 'no-store' && kept) throw new Error('keeps what it may not')
}
