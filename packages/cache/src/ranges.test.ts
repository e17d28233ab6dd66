import { describe, expect, it } from 'vitest'
import { answered, CacheRig, type FetchCall, fresh, settled } from '../../../test/kit/cache-rig.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import type { CacheOptions } from './cache-options.js'
import { createCache } from './create-cache.js'

trapUnhandled()
const own = owner()
const rig = (options?: CacheOptions) => own(new CacheRig(createCache, options))
const status = (reply: { of(name: string): string | undefined }) => reply.of('cache-status')
const range = (text: string, ...more: string[]) => ({ headers: ['Range', `bytes=${text}`, ...more] })
const text = '0123456789'
const strong = [...fresh, 'ETag', '"a"']

/** Answers ranges as a target should. */
function serves(at: CacheRig, body = text, headers = strong): void {
  at.origin = ({ headers: asked }) => {
    const value = asked[asked.indexOf('Range') + 1]
    const condition = asked[asked.indexOf('If-Range') + 1]
    const found = /^bytes=(\d+)-(\d*)$/.exec(asked.includes('Range') ? (value as string) : '')
    const etag = headers[headers.indexOf('ETag') + 1]
    if (found === null || (asked.includes('If-Range') && condition !== etag))
      return { status: 200, headers, body }
    const first = Number(found[1])
    const last = found[2] === '' ? body.length - 1 : Math.min(Number(found[2]), body.length - 1)
    if (first > last) return { status: 416, headers: ['Content-Range', `bytes */${body.length}`], body: null }
    const part = body.slice(first, last + 1)
    return {
      status: 206,
      headers: [...headers, 'Content-Range', `bytes ${first}-${last}/${body.length}`],
      body: part,
    }
  }
}

describe('ranges of what is stored whole', () => {
  it.each([
    ['2-4', 206, '234', 'bytes 2-4/10'],
    ['-3', 206, '789', 'bytes 7-9/10'],
    ['7-', 206, '789', 'bytes 7-9/10'],
    ['5-100', 206, '56789', 'bytes 5-9/10'],
    ['0-9', 206, text, 'bytes 0-9/10'],
    ['10-', 416, '', 'bytes */10'],
    ['x', 200, text, undefined],
  ])('%s', async (asked, code, expected, contentRange) => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: strong, body: text })
    await at.read('/')
    const reply = await at.read('/', range(asked))
    expect([reply.status, reply.text, reply.of('content-range')]).toEqual([code, expected, contentRange])
    expect(status(reply)).toMatch(/hit/)
    expect(at.calls).toHaveLength(1)
  })

  it('several in one body', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: [...strong, 'Content-Type', 'text/plain'], body: text })
    await at.read('/')
    const reply = await at.read('/', range('0-1,8-'))
    expect(reply.of('content-type')).toMatch(/^multipart\/byteranges; boundary=/)
    expect(reply.text).toMatch(/bytes 0-1\/10\r\n\r\n01\r\n[\s\S]*bytes 8-9\/10\r\n\r\n89\r\n/)
    expect(reply.of('content-length')).toBe(String(reply.text.length))
  })

  it('If-Range, HEAD, and conditions before ranges', async () => {
    const at = rig()
    at.origin = () => ({ status: 200, headers: strong, body: text })
    await at.read('/')
    const codes = [
      await at.read('/', range('0-1', 'If-Range', '"a"')),
      await at.read('/', range('0-1', 'If-Range', '"b"')),
      await at.read('/', { ...range('0-1'), method: 'HEAD' }),
      await at.read('/', range('0-1', 'If-None-Match', '"a"')),
    ]
    expect(codes.map((reply) => [reply.status, reply.text, reply.of('content-length')])).toEqual([
      [206, '01', '2'],
      [200, text, '10'],
      [200, '', '10'],
      [304, '', undefined],
    ])
    expect(at.calls).toHaveLength(1)
  })
})

describe('parts', () => {
  it('grow where they touch, and are whole in the end', async () => {
    const at = rig()
    serves(at)
    for (const asked of ['3-5', '6-7', '1-2']) {
      const reply = await at.read('/', range(asked))
      expect([reply.status, reply.of('content-range')]).toEqual([206, `bytes ${asked}/10`])
    }
    const grown = await at.read('/', range('1-7'))
    expect([grown.text, status(grown)]).toEqual(['1234567', 'sluice; hit; ttl=60'])
    expect((await at.read('/', range('0-0'))).text).toBe('0')
    const whole = await at.read('/')
    expect([whole.status, whole.text]).toEqual([200, text])
    expect(at.calls.at(-1)?.fetch.headers).toEqual(['Range', 'bytes=8-', 'If-Range', '"a"'])
    expect(status(await at.read('/'))).toMatch(/hit/)
  })

  it('grow by no field that is for one client alone', async () => {
    const at = rig({ privateCookies: ['node'] })
    serves(at, text, [...strong, 'Set-Cookie', 'node=1', 'Age', '5', 'Connection', 'x'])
    await at.read('/', range('0-4'))
    await at.read('/', range('5-9'))
    const reply = await at.read('/')
    expect([reply.text, reply.of('set-cookie'), reply.of('connection'), reply.of('age')]).toEqual([
      text,
      undefined,
      undefined,
      '5',
    ])
  })

  it('grow by no field that what is stored keeps from others, and are purged by the tags of both', async () => {
    const at = rig()
    const tagged = ['ETag', '"a"', 'Cache-Tag', 'page', 'X-User', 'alice']
    serves(at, text, [...tagged, 'Cache-Control', 'max-age=60, private="x-user"'])
    await at.read('/', range('0-4'))
    const modified = new Date(at.now - 864_000_000).toUTCString()
    serves(at, text, ['ETag', '"a"', 'Last-Modified', modified, 'X-User', 'bob'])
    expect((await at.read('/', range('3-7'))).of('x-user')).toBe('bob')
    const both = await at.read('/', range('0-7'))
    expect([both.text, both.of('x-user'), status(both)]).toEqual([
      '01234567',
      undefined,
      'sluice; hit; ttl=60',
    ])
    expect(await at.cache.purge({ tag: 'page' })).toBe(1)
    expect(at.store.kept.size).toBe(0)
  })

  describe('that are to grow', () => {
    const later = [...strong, 'Content-Range', 'bytes 5-9/10']

    it.each<[string, (call: FetchCall) => void]>([
      ['has come', (call) => call.answer(206, later, '56789')],
      ['has come whole', (call) => call.answer(200, strong, text)],
      ['is for one client alone', (call) => call.answer(200, ['Cache-Control', 'private'], text)],
      [
        'is a rest that is',
        (call) => call.answer(206, ['ETag', '"a"', 'Cache-Control', 'private', ...later.slice(-2)], '56789'),
      ],
      ['has failed', (call) => call.fail(new Error('no'))],
      ['is an error', (call) => call.answer(503, [], 'error')],
    ])(
      'are read within maxFilling, others left aside meanwhile, until what was asked for %s',
      async (_, end) => {
        const at = rig({ maxFilling: 8 })
        const read: string[] = []
        at.store.slow = true
        at.store.alter = (entry) => ({
          ...entry,
          body(from, to) {
            if (from === undefined) read.push(entry.head.url.slice(-2))
            return entry.body(from, to)
          },
        })
        serves(at)
        const paths = ['/0', '/1', '/2', '/3', '/4', '/5', '/6', '/7']
        for (const path of paths) {
          await at.read(path, range('0-4'))
          await at.call()
        }
        at.origin = undefined
        for (const asked of [range('5-9'), { headers: [] }, range('5-9'), { headers: [] }]) {
          const [path = '', beside = ''] = paths.splice(0, 2)
          const one = at.ask(path, asked)
          const call = await at.call()
          expect(read.splice(0)).toEqual([path])
          const other = at.ask(beside, asked)
          const alone = await at.call()
          // As if nothing were there.
          expect([read.splice(0), alone.fetch.headers]).toEqual([[], asked.headers])
          alone.answer(200, ['Cache-Control', 'private'], 'alone')
          expect((await answered(await other)).text).toBe('alone')
          end(call)
          await one.then(answered, () => undefined)
          await settled()
        }
      },
    )
  })

  it('of another version are not put together', async () => {
    const at = rig()
    serves(at)
    await at.read('/', range('0-4'))
    serves(at, 'abcdefghij', [...fresh, 'ETag', '"b"'])
    expect((await at.read('/', range('5-9'))).text).toBe('fghij')
    const reply = await at.read('/')
    expect(reply.text).toBe('abcdefghij')
  })

  it.each([
    ['the rest of it', 206, [...strong, 'Content-Range', 'bytes 5-9/10'], '56789', 1],
    ['all of another', 200, [...fresh, 'ETag', '"b"'], 'new', 1],
    ['a rest of another', 206, [...fresh, 'ETag', '"b"', 'Content-Range', 'bytes 5-9/10'], 'fghij', 2],
    ['another part of it', 206, [...strong, 'Content-Range', 'bytes 6-9/10'], '6789', 2],
    ['no such range', 416, ['Content-Range', 'bytes */5'], '', 2],
    ['that it has not changed', 304, strong, '', 1],
  ])('are completed: the target sends %s', async (_, code, headers, body, fetches) => {
    const at = rig()
    serves(at)
    await at.read('/', range('0-4'))
    at.calls.length = 0
    at.origin = ({ headers: asked }) =>
      asked.includes('Range')
        ? { status: code, headers, body }
        : { status: 200, headers: strong, body: 'whole' }
    const reply = await at.read('/')
    expect(at.calls).toHaveLength(fetches)
    if (code === 206 && fetches === 1) expect(reply.text).toBe(text)
    else if (code === 304) expect(reply.status).toBe(304)
    else expect([reply.status, reply.text]).toEqual([200, fetches === 1 ? 'new' : 'whole'])
  })

  it('answer several ranges, HEAD and conditions only as far as they can', async () => {
    const at = rig()
    serves(at)
    await at.read('/', range('0-4'))
    expect((await at.read('/', range('0-1,3-4'))).of('content-type')).toMatch(/^multipart/)
    expect(at.calls).toHaveLength(1)
    at.origin = () => ({ status: 200, headers: [...strong, 'Content-Length', '10'], body: null })
    const head = await at.read('/', { method: 'HEAD' })
    expect([head.status, head.of('content-length'), status(head)]).toEqual([
      200,
      '10',
      'sluice; fwd=partial; fwd-status=200',
    ])
    expect((await at.read('/', range('0-1', 'If-None-Match', '"a"'))).status).toBe(304)
  })

  it('that are stale are asked for again, and served in place of an error', async () => {
    const at = rig({ staleIfError: 600_000 })
    serves(at)
    await at.read('/', range('0-4'))
    at.now += 61_000
    serves(at, 'abcdefghij', [...fresh, 'ETag', '"b"'])
    expect((await at.read('/', range('0-4'))).text).toBe('abcde')
    at.now += 61_000
    at.origin = () => ({ status: 503, headers: [], body: 'down' })
    const reply = await at.read('/', range('1-2'))
    expect([reply.status, reply.text, reply.of('content-range')]).toEqual([206, 'bc', 'bytes 1-2/10'])
    expect((await at.read('/')).status).toBe(503)
  })

  it('that came short are not kept as more', async () => {
    const at = rig()
    const asked = at.ask('/', range('0-4'))
    const body = (await at.call()).open(206, [
      ...strong,
      'Content-Range',
      'bytes 0-4/10',
      'Content-Length',
      '5',
    ])
    const reply = await asked
    body.write('01')
    body.done()
    await expect(answered(reply)).rejects.toThrow()
    expect(at.store.kept.size).toBe(0)
    await settled()
  })

  it('that say they are all and have less never pass for all', async () => {
    const at = rig()
    const short = ['Content-Range', 'bytes 0-9/10', 'Content-Length', '5']
    at.origin = () => ({ status: 206, headers: [...strong, ...short], body: '01234' })
    const came = await at.read('/', range('0-'))
    expect([came.status, came.text, status(came)]).toEqual([
      206,
      '01234',
      'sluice; fwd=uri-miss; fwd-status=206; detail=partial',
    ])
    serves(at)
    const next = await at.read('/')
    expect([next.status, next.text, at.calls.length]).toEqual([200, text, 2])
  })

  it('without a length are held against their range', async () => {
    const at = rig()
    const asked = at.ask('/', range('0-4'))
    const body = (await at.call()).open(206, [...strong, 'Content-Range', 'bytes 0-4/10'])
    const reply = await asked
    body.write('01')
    body.done()
    await answered(reply).catch(() => {})
    expect(at.store.kept.size).toBe(0)
  })

  it('the same range that many ask for is one fetch; another client never gets another range', async () => {
    const at = rig()
    const asked = ['0-1', '0-1', '2-3'].map((one) => at.ask('/', range(one)))
    await settled()
    expect(at.calls).toHaveLength(2)
    at.calls[0]?.answer(206, [...strong, 'Content-Range', 'bytes 0-1/10'], '01')
    at.calls[1]?.answer(206, [...strong, 'Content-Range', 'bytes 2-3/10'], '23')
    const texts = await Promise.all(asked.map(async (reply) => (await answered(await reply)).text))
    expect(texts).toEqual(['01', '01', '23'])
  })

  it('a target that sends other bytes than were asked for is passed on as it came', async () => {
    const at = rig()
    const asked = [at.ask('/', range('0-1')), at.ask('/', range('0-1'))]
    ;(await at.call()).answer(206, [...strong, 'Content-Range', 'bytes 4-5/10'], '45')
    await settled()
    at.calls[1]?.answer(206, [...strong, 'Content-Range', 'bytes 0-1/10'], '01')
    const replies = await Promise.all(asked.map(async (reply) => answered(await reply)))
    expect(replies.map((reply) => [reply.text, reply.of('content-range')])).toEqual([
      ['45', 'bytes 4-5/10'],
      ['01', 'bytes 0-1/10'],
    ])
  })
})
