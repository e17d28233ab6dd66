import * as zlib from 'node:zlib'
import { memoryStore } from '@sluice/cache'
import { type CompressOptions, compress } from '@sluice/compress'
import { describe, expect, it } from 'vitest'
import { cachedSite, minute, noon } from '../kit/cached-site.js'
import { fronts } from '../kit/fronts.js'
import { owner } from '../kit/owner.js'
import { value } from '../kit/raw-request.js'
import { trapUnhandled } from '../kit/trap-unhandled.js'

trapUnhandled()
const own = owner()

const page = (n: number): string => `<p>page ${n}</p>\n`.repeat(2_500)
const html = [...minute, 'Content-Type', 'text/html', 'ETag', '"one"']
const takes = (coding: string) => ({ headers: ['Accept-Encoding', coding] })

/** A site whose pages carry the number of the request to the target, with the store that its cache keeps them in. */
async function site(kind: (typeof fronts)[number], options: CompressOptions = {}) {
  let count = 0
  const store = own(memoryStore({ clock: () => noon }))
  const made = await cachedSite(
    own,
    kind,
    (_req, res) => void res.writeHead(200, html).end(page(++count)),
    { store },
    // A level that is given is kept to however busy the machine is.
    { use: [compress({ level: { gzip: 6, br: 4 }, ...options })] },
  )
  return { ...made, store, fetched: () => count, ask: made.ask, purge: made.purge }
}

const plainOf = (answer: { body: Buffer; headers: string[] }): string => {
  const coding = value(answer.headers, 'content-encoding')
  if (coding === 'gzip') return zlib.gunzipSync(answer.body).toString()
  if (coding === 'br') return zlib.brotliDecompressSync(answer.body).toString()
  return answer.body.toString()
}

describe.each(fronts)('compression outside of a cache: $name', (kind) => {
  it('fetches once for all codings, and codes a hot object once for each', async () => {
    const { ask, fetched, store } = await site(kind)
    const answers = []
    for (const coding of ['gzip', 'br', 'gzip, br;q=0.5', 'identity', 'br', 'gzip'])
      answers.push(await ask(takes(coding)))
    expect(answers.map(plainOf)).toEqual(answers.map(() => page(1)))
    expect(answers.map(({ headers }) => value(headers, 'content-encoding'))).toEqual([
      'gzip',
      'br',
      'gzip',
      undefined,
      'br',
      'gzip',
    ])
    expect(fetched()).toBe(1)
    // The forms that were kept are what later clients get, to the byte, and say how long they are.
    expect(answers[5]?.body).toEqual(answers[2]?.body)
    expect(value(answers[5]?.headers ?? [], 'content-length')).toBe(String(answers[5]?.body.length))
    expect(store.count).toBe(1)
  })

  it('counts the coded forms in the bytes of their entry, and they go with it', async () => {
    const { ask, purge, store, url } = await site(kind)
    await ask(takes('identity'))
    const plain = store.bytes
    const { body } = await ask(takes('gzip'))
    expect(store.bytes).toBeGreaterThan(plain + body.length)
    expect(await purge({ url: url() })).toBe(1)
    expect(store.bytes).toBe(0)
    expect(plainOf(await ask(takes('gzip')))).toBe(page(2))
  })

  it('answers conditions about a coded form from the cache', async () => {
    const { ask, fetched } = await site(kind)
    const first = await ask(takes('gzip'))
    const tag = value(first.headers, 'etag') as string
    expect(tag).toBe('W/"one"')
    const again = await ask({ headers: ['Accept-Encoding', 'gzip', 'If-None-Match', tag] })
    expect([again.status, value(again.headers, 'etag'), value(again.headers, 'vary')]).toEqual([
      304,
      tag,
      'Accept-Encoding',
    ])
    expect(fetched()).toBe(1)
  })

  it('gives ranges of the plain form, and never goes on a coded one with them', async () => {
    const { ask } = await site(kind, { etag: 'suffix' })
    const first = await ask(takes('gzip'))
    const tag = value(first.headers, 'etag') as string
    expect(tag).not.toBe('"one"')
    const part = await ask({ headers: ['Accept-Encoding', 'gzip', 'Range', 'bytes=3-6'] })
    expect([part.status, part.text, value(part.headers, 'content-encoding')]).toEqual([
      206,
      'page',
      undefined,
    ])
    const rest = await ask({ headers: ['Accept-Encoding', 'gzip', 'Range', 'bytes=3-6', 'If-Range', tag] })
    expect([rest.status, plainOf(rest)]).toEqual([200, page(1)])
  })
})
