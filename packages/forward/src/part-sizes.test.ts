import { createServer } from 'node:http'
import { type Body, type EndSink, PushBody } from '@sluice/core'
import { expect, it } from 'vitest'
import { send, targetOf } from '../../../test/kit/attempt.js'
import { listen } from '../../../test/kit/listen.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, within } from '../../../test/kit/until.js'
import { wireTransport } from './index.js'

trapUnhandled()
const own = owner()
const small = 16 * 1024
const body = Buffer.alloc(2 * 1024 * 1024, '0123456789abcde')

class Taking implements EndSink {
  readonly parts: number[] = []
  readonly bytes: Buffer[] = []
  readonly over = deferred<void>()

  constructor(readonly partAtMost = Number.POSITIVE_INFINITY) {}

  write(chunk: Uint8Array): boolean {
    this.parts.push(chunk.length)
    this.bytes.push(Buffer.from(chunk))
    return true
  }

  end(): void {
    this.over.resolve()
  }

  abort(error: Error): void {
    this.over.reject(error)
  }

  onDrain(): void {}
}

async function taken(sink: Taking): Promise<Taking> {
  const origin = own(await listen(createServer((_req, res) => res.end(body))))
  const transport = own(wireTransport())
  const reply = await send(transport, targetOf(`http://127.0.0.1:${origin.port}`))
  const source = reply.body as Body
  expect(source).toBeInstanceOf(PushBody)
  source.pipe(sink)
  await within(sink.over.promise, 'the end of the body')
  expect(Buffer.concat(sink.bytes).equals(body)).toBe(true)
  return sink
}

it('reads a large answer in large parts', async () => {
  const { parts } = await taken(new Taking())
  expect(Math.max(...parts)).toBeGreaterThan(small)
})

it('reads it in small parts for a sink that wants no others', async () => {
  const { parts } = await taken(new Taking(small))
  expect(Math.max(...parts)).toBeLessThanOrEqual(small)
})
