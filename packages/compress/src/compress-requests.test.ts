import { gunzipSync } from 'node:zlib'
import {
  type Body,
  type BodyInit,
  type Context,
  PushBody,
  type Reply,
  toBody,
  toReadable,
} from '@sluice/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { seeded } from '../../../test/kit/seeded.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { resolveCompressRequests } from './compress-requests-options.js'
import { type Coding, compressRequests } from './index.js'
import { levelRanges } from './level.js'

trapUnhandled()

describe('options of compressRequests', () => {
  it('have defaults', () => {
    expect(resolveCompressRequests()).toMatchObject({
      to: 'learnt',
      coding: 'gzip',
      level: 'auto',
      threshold: 1024,
      replay: 65_536,
    })
  })

  it('that are wrong are told all at once, each by its path', () => {
    const wrong = {
      to: 'told',
      coding: 'compress',
      level: 'high',
      threshold: '1 parsec',
      types: 'text',
      replay: -1,
      x: 1,
    }
    let told = ''
    try {
      compressRequests(wrong as never, { path: 'a.b' })
    } catch (error) {
      told = String(error)
    }
    for (const name of Object.keys(wrong)) expect(told).toContain(`a.b.${name}: `)
    expect(told).toMatch(/TypeError/)
  })

  it.each(['br', 'gzip', 'deflate'] as const)('levels are those of %s', (coding: Coding) => {
    const [least, most] = levelRanges[coding]
    for (const level of [least, most]) expect(resolveCompressRequests({ coding, level }).level).toBe(level)
    for (const level of [least - 1, most + 1])
      expect(() => compressRequests({ coding, level })).toThrow(
        `compressRequests.level: got ${level}, takes 'auto', a whole number from ${least} to ${most}`,
      )
    expect(() => compressRequests({ coding, level: 1.5 })).toThrow(/compressRequests\.level: got 1\.5/)
  })
})

it('says where it stands, to a chain without balance', () => {
  const ctx = { out: { method: 'POST', path: '/', headers: [], body: null } } as unknown as Context
  expect(() => compressRequests()(() => ({ status: 200, headers: [], body: null }))(ctx as never)).toThrow(
    'compressRequests() found no target: it stands inside of balance()',
  )
})

/** Gives its parts as long as there is room, each in a turn of its own or all at once. */
class Source extends PushBody {
  private readonly parts: Uint8Array[]
  constructor(
    parts: readonly Uint8Array[],
    private readonly apart: boolean,
  ) {
    super()
    this.parts = [...parts]
    this.waiting = true
  }
  protected resume(): void {
    for (let part = this.parts.shift(); part !== undefined; part = this.parts.shift()) {
      if (!this.push(part)) return
      if (this.apart) return void setImmediate(() => this.resume())
    }
    this.finish()
  }
  protected stop(): void {}
}

/** As much of a context as the layer needs. */
function attempt(body: BodyInit): never {
  const ctx = {
    target: {},
    out: { method: 'POST', path: '/', headers: ['Content-Type', 'text/plain'], body },
    onClose() {},
    fork(this: { out: { headers: string[] } }) {
      return { ...this, out: { ...this.out, headers: [...this.out.headers] } }
    },
  }
  return ctx as never
}

async function all(body: BodyInit): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of toReadable(body)) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

/** Takes a first part, and leaves. */
function some(body: BodyInit): Promise<void> {
  return new Promise((resolve) => {
    const whole = toBody(body) as Body
    const left = (): boolean => {
      setImmediate(() => {
        whole.cancel()
        resolve()
      })
      return false
    }
    whole.pipe({ write: left, end: () => resolve(), abort: () => resolve(), onDrain() {} })
  })
}

it('a target gets the bytes that were sent, coded or plain, wherever it refuses', async () => {
  const random = seeded(11)
  const noise = Buffer.from(Array.from({ length: 40_000 }, () => 32 + Math.floor(random() * 90)))
  const sizes = fc.array(fc.constantFrom(0, 1, 100, 5_000, 30_000), { maxLength: 8 })
  await fc.assert(
    fc.asyncProperty(
      sizes,
      fc.record({
        kind: fc.constantFrom('flows', 'apart', 'bytes', 'text'),
        takes: fc.constantFrom('nothing', 'some', 'all'),
        status: fc.constantFrom(200, 411, 415),
        replay: fc.constantFrom(0, 4_000, 60_000),
      }),
      async (lengths, { kind, takes, status, replay }) => {
        const parts = lengths.map((length, i) => noise.subarray(i * 7, i * 7 + length))
        const sent = Buffer.concat(parts)
        let body: BodyInit = kind === 'text' ? sent.toString('latin1') : sent
        if (kind === 'flows' || kind === 'apart') body = new Source(parts, kind === 'apart')
        const codings: unknown[] = []
        const layer = compressRequests({ to: 'all', replay, threshold: 0, level: 1 })
        const handler = layer(async ({ out }): Promise<Reply> => {
          const coding = out.headers[out.headers.indexOf('Content-Encoding') + 1]
          codings.push(out.headers.includes('Content-Encoding') ? coding : undefined)
          const first = codings.length === 1
          if (first && status !== 200 && takes === 'nothing') return { status, headers: [], body: null }
          if (first && status !== 200 && takes === 'some') await some(out.body)
          else {
            const got = await all(out.body)
            expect((codings.at(-1) === 'gzip' ? gunzipSync(got) : got).equals(sent)).toBe(true)
          }
          return { status: first ? status : 200, headers: [], body: null }
        })
        const reply = await handler(attempt(body))
        const inMemory = kind === 'bytes' || kind === 'text'
        // Nothing in memory is nothing to code.
        expect(codings[0]).toBe(inMemory && sent.length === 0 ? undefined : 'gzip')
        const mayResend = inMemory || takes === 'nothing' || sent.length <= replay
        // Where it has had a length all along, 411 is for something else.
        const asksForLength = inMemory && sent.length > 16_384
        if (codings[0] === undefined || status === 200 || (status === 411 && !asksForLength))
          expect([codings.length, reply.status]).toEqual([1, status])
        else if (mayResend) expect([codings.length, codings[1], reply.status]).toEqual([2, undefined, 200])
        // What was kept may be all that had come by then.
        else expect([1, 2]).toContain(codings.length)
      },
    ),
    { numRuns: 150 },
  )
})
