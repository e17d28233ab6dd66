import { setTimeout as delay } from 'node:timers/promises'
import { clientOf } from './clients.mjs'
import { answerOf, etag } from './scenarios.mjs'

/**
 * Asks a contender three times, before it is measured: fast and wrong is no result.
 * @param ca certificate of the contender, where it speaks TLS
 * @param keeps whether it is to keep what it may: a hit that isn't one, or an answer that is kept against its word, is wrong too
 * @param codes whether it is to compress where the scenario says so
 * @returns bytes of the answer's body as it came, where that is known
 * @throws Error that says what was wrong
 */
export async function validate(address, scenario, ca, { keeps, codes }) {
  // A conditional request is about what one has been given before.
  if (keeps && scenario.status === 304)
    await validate(address, { ...scenario, status: 200, fields: {} }, ca, { keeps, codes })
  const client = clientOf(address, scenario, ca)
  const { up, front, status: expected, control } = scenario
  const wanted = expected === 304 ? '' : answerOf(scenario)
  const wantedCoding = codes ? scenario.coding : undefined
  const stamps = []
  let length
  try {
    for (let i = 0; i < 3; i++) {
      // One path for all: whether an answer is kept shows when it is asked for again. Some keep it only after it has gone out.
      if (i > 0 && control !== undefined) await delay(50)
      const { status, body, received, fields, bytes, coding } = await client.ask()
      length = bytes
      if (status !== expected) throw new Error(`answers with status ${status}`)
      if (coding !== wantedCoding)
        throw new Error(`answers with the coding ${coding ?? 'identity'}, not ${wantedCoding ?? 'identity'}`)
      if (body !== wanted) throw new Error(`answers with other bytes (${body.length} of ${wanted.length})`)
      if (up > 0 && front !== 'websocket' && !(received >= up))
        throw new Error(`hands on ${received} of ${up} bytes`)
      if (control === undefined) continue
      // It names other bytes than the origin's.
      if (fields.etag !== (coding === undefined ? etag : `W/${etag}`))
        throw new Error(`answers with the ETag ${fields.etag}`)
      stamps.push(fields['origin-stamp'])
    }
  } finally {
    client.close()
  }
  if (control === undefined) return length
  const kept = stamps[1] === stamps[2]
  if (keeps && control !== 'no-store' && !kept) throw new Error('asks the origin for what it could have kept')
  if (keeps && control === 'no-store' && kept) throw new Error('keeps what it may not')
  return length
}
