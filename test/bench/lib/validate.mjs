import { Agent, get } from 'node:http'
import { bodyOf } from './scenarios.mjs'

/**
 * Asks a contender three times over one connection, before it is measured: fast and wrong is no result.
 * @throws Error that says what was wrong
 */
export async function validate(url, size) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const wanted = bodyOf(size)
  try {
    for (let i = 0; i < 3; i++) {
      const { status, body } = await ask(url, agent)
      if (status !== 200) throw new Error(`answers with status ${status}`)
      if (body !== wanted) throw new Error(`answers with other bytes (${body.length} of ${size})`)
    }
  } finally {
    agent.destroy()
  }
}

function ask(url, agent) {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, timeout: 5000 }, async (res) => {
      try {
        let body = ''
        for await (const chunk of res.setEncoding('latin1')) body += chunk
        resolve({ status: res.statusCode, body })
      } catch (error) {
        reject(error)
      }
    })
    request.on('timeout', () => request.destroy(new Error('answers nothing')))
    request.on('error', reject)
  })
}
