import { inTime } from './fuzz-client.mjs'
import { markOf, marksIn } from './mark.mjs'
import { strictOrigin } from './strict-origin.mjs'

/** Answers each request with its number, its marks, and its path. What may not have arrived is told to `faults`. */
export async function watchedTarget(faults) {
  const seen = new Set()
  const origin = await strictOrigin((request) => {
    const { fields, target, method, body, trailers } = request
    const numbers = fields.filter((_each, i) => i % 2 === 1 && fields[i - 1] === 'x-exchange')
    const what = `${method} ${JSON.stringify(target.slice(0, 80))}`
    if (numbers.length !== 1) faults.push(`the target got a request that the proxy never meant: ${what}`)
    else if (seen.has(numbers[0])) faults.push(`the target got a request twice: ${what}`)
    seen.add(numbers[0])
    const all = Buffer.from([method, target, ...fields, ...trailers].join('\n'), 'latin1')
    const marks = marksIn(Buffer.concat([all, body]))
    if (marks.size > 1) faults.push(`the target got a request that is made of those of two clients: ${what}`)
    const [mark] = marks
    return {
      fields: [`X-Number: ${numbers[0]}`, 'Content-Type: text/plain'],
      body: `${mark === undefined ? '' : markOf(mark)} ${body.length} ordinary`,
    }
  })
  return {
    url: origin.url,
    close: origin.close,
    forget() {
      origin.forget()
      seen.clear()
      faults.length = 0
    },
    /** What is left on its connections that should not be. */
    async leftOvers() {
      for (const { reader, socket } of origin.connections) {
        if (reader.fault !== undefined) return `the target got what it can't read in one way: ${reader.fault}`
        if (reader.rest.length === 0 || socket.destroyed) continue
        if (!(await inTime(new Promise((resolve) => socket.once('close', resolve)))))
          return 'part of a request is left on a connection that is kept'
      }
      return undefined
    },
  }
}
