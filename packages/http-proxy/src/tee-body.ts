import { PassThrough } from 'node:stream'
import { type Body, type BodyInit, type Outbound, toBody, toReadable } from '@sluice/core'

/** Gives one body to two. Who stops reading doesn't keep the other from the rest. */
export function teeBody(out: Outbound): BodyInit {
  const { body } = out
  if (body === null || typeof body === 'string' || body instanceof Uint8Array) return body
  const { length } = toBody(body) as Body
  const source = toReadable(body)
  const [one, two] = [new PassThrough(), new PassThrough()]
  const bodies = [one, two].map((copy) => {
    copy.on('error', () => {})
    copy.on('close', () => {
      source.unpipe(copy)
      if (one.destroyed && two.destroyed) source.destroy()
    })
    source.pipe(copy)
    const made = toBody(copy) as Body
    if (length !== undefined) Object.defineProperty(made, 'length', { value: length })
    return made
  })
  source.on('error', (error) => {
    one.destroy(error)
    two.destroy(error)
  })
  out.body = bodies[0] as Body
  return bodies[1] as Body
}
