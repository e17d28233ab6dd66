import { clientOf } from './clients.mjs'
import { bodyOf } from './scenarios.mjs'

/**
 * Asks a contender three times, before it is measured: fast and wrong is no result.
 * @param ca certificate of the contender, where it speaks TLS
 * @throws Error that says what was wrong
 */
export async function validate(address, scenario, ca) {
  const client = clientOf(address, scenario, ca)
  const { up, down, front } = scenario
  const wanted = bodyOf(down)
  try {
    for (let i = 0; i < 3; i++) {
      const { status, body, received } = await client.ask()
      if (status !== 200) throw new Error(`answers with status ${status}`)
      if (body !== wanted) throw new Error(`answers with other bytes (${body.length} of ${down})`)
      if (up > 0 && front !== 'websocket' && !(received >= up))
        throw new Error(`hands on ${received} of ${up} bytes`)
    }
  } finally {
    client.close()
  }
}
