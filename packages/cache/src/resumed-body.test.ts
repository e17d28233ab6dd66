import { PushBody, type Reply } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { CacheRig, fresh, settled } from '../../../test/kit/cache-rig.js'
import { owner } from '../../../test/kit/owner.js'
import { bodyBytes } from '../../../test/kit/store-entries.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { createCache } from './create-cache.js'

trapUnhandled()
const own = owner()

const text = '0123456789'
const strong = [...fresh, 'ETag', '"a"']

/** What a store still had, byte by byte, before it lost the rest. */
class LosingBody extends PushBody {
  stopped = false

  constructor(
    private readonly bytes: Buffer,
    length: number,
  ) {
    super()
    ;(this as { length?: number }).length = length
    this.waiting = true
  }

  protected resume(): void {
    for (const byte of this.bytes) this.push(Buffer.from([byte]))
    setImmediate(() => this.fail(new Error('lost')))
  }

  protected stop(): void {
    this.stopped = true
  }
}

/** A cache whose store has one page, and loses it after `kept` of the bytes that are asked for. */
async function losing(kept: number, headers: string[] = strong) {
  const at = own(new CacheRig(createCache))
  at.origin = () => ({ status: 200, headers, body: text })
  await at.read('/')
  at.store.alter = ({ head, release, size }) => ({
    head,
    size,
    body: (from = 0, to = size) =>
      new LosingBody(Buffer.from(text.slice(from, Math.min(to, from + kept))), to - from),
    ...(release === undefined ? {} : { release }),
  })
  return at
}

const said = async (reply: Reply): Promise<string> => String(await bodyBytes(reply.body))
const range = (asked: string) => ({ headers: ['Range', `bytes=${asked}`] })

describe('a stored body that is lost on the way', () => {
  it.each([0, 1, 5, 9])(
    'goes on from the target after %i bytes, which is asked for the rest alone',
    async (kept) => {
      const at = await losing(kept)
      at.origin = () => ({
        status: 206,
        headers: [...strong, 'Content-Range', `bytes ${kept}-9/10`],
        body: text.slice(kept),
      })
      const reply = await at.ask('/')
      expect([reply.status, await said(reply)]).toEqual([200, text])
      const { headers, inform, shared } = at.calls[1]?.fetch ?? {}
      expect([headers, shared, inform]).toEqual([
        ['Range', `bytes=${kept}-9`, 'If-Range', '"a"'],
        true,
        false,
      ])
    },
  )

  it('goes on in a range, from a target that knows none', async () => {
    const at = await losing(2)
    at.origin = () => ({ status: 200, headers: strong, body: text })
    const reply = await at.ask('/', range('3-8'))
    expect([reply.status, await said(reply)]).toEqual([206, '345678'])
    expect(at.calls[1]?.fetch.headers).toEqual(['Range', 'bytes=5-8', 'If-Range', '"a"'])
  })

  it.each<[string, Partial<Reply>]>([
    ['another entity tag', { headers: [...fresh, 'ETag', '"b"'] }],
    ['a weak one', { headers: [...fresh, 'ETag', 'W/"a"'] }],
    ['none', { headers: [...fresh] }],
    ['another coding', { headers: [...strong, 'Content-Encoding', 'gzip'] }],
    ['another part', { status: 206, headers: [...strong, 'Content-Range', 'bytes 4-9/10'], body: '456789' }],
    ['an error', { status: 503 }],
    ['less than it has', { body: text.slice(0, 8) }],
  ])('breaks off where the target has %s', async (_, came) => {
    const at = await losing(5)
    at.origin = () => ({ status: 200, headers: strong, body: text, ...came })
    await expect(said(await at.ask('/'))).rejects.toThrow()
  })

  it('breaks off where the target is out of reach, by what the store said', async () => {
    const at = await losing(5)
    at.origin = () => {
      throw new Error('no answer')
    }
    await expect(said(await at.ask('/'))).rejects.toThrow('lost')
  })

  it.each([
    ['a weak tag', [...fresh, 'ETag', 'W/"a"']],
    ['no tag', fresh],
  ])('breaks off without a question where it has %s', async (_, headers) => {
    const at = await losing(5, headers)
    await expect(said(await at.ask('/'))).rejects.toThrow('lost')
    expect(at.calls).toHaveLength(1)
  })

  it('breaks off where what the target sends breaks off, too', async () => {
    const at = await losing(5)
    at.origin = () => ({
      status: 206,
      headers: [...strong, 'Content-Range', 'bytes 5-9/10'],
      body: new LosingBody(Buffer.from('56'), 5),
    })
    await expect(said(await at.ask('/'))).rejects.toThrow('lost')
    expect(at.calls).toHaveLength(2)
  })

  it('is fetched for nobody when its client has left meanwhile', async () => {
    const at = await losing(5)
    at.origin = undefined
    const reply = await at.ask('/')
    const reading = said(reply)
    reading.catch(() => {})
    await at.call()
    const { answer } = await at.call()
    ;(reply.body as PushBody).cancel(new Error('left'))
    await expect(reading).rejects.toThrow('left')
    const rest = new LosingBody(Buffer.from('56789'), 5)
    answer(206, [...strong, 'Content-Range', 'bytes 5-9/10'], rest)
    await settled()
    expect(rest.stopped).toBe(true)
  })
})
