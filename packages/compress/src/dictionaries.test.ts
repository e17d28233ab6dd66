import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { discard, type Reply, toReadable } from '@sluice/core'
import debug from 'debug'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Dictionaries, type DictionaryCase } from './dictionaries.js'
import { dictionaryOf } from './dictionary.js'
import type { DictionarySupport } from './dictionary-coding.js'
import { resolveDictionaries } from './dictionary-options.js'
import { PathPattern } from './path-pattern.js'

afterEach(() => {
  debug.disable()
  vi.restoreAllMocks()
})

const settings = resolveDictionaries({ match: '/app.js' })
const request = {
  method: 'GET',
  scheme: 'https',
  authority: 'a.example',
  path: '/app.js?a',
  headers: [],
} as const
const reply = (more: Partial<Reply> = {}): Reply => ({
  status: 200,
  headers: ['Content-Type', 'text/javascript', 'ETag', '"a"'],
  body: 'x'.repeat(1000),
  ...more,
})

describe('dictionaries', () => {
  it('ask what zlib can when they are first meant for a request, and say once that it can nothing', () => {
    const lines: string[] = []
    vi.spyOn(debug, 'log').mockImplementation((...all: unknown[]) => void lines.push(all.join(' ')))
    debug.enable('sluice:compress')
    const support = vi.fn<() => DictionarySupport>(() => ({ dcb: false, dcz: false }))
    const engine = new Dictionaries(settings, support)
    for (const other of [{ method: 'POST' }, { path: '/other' }, { scheme: 'http' as const }])
      expect(engine.begin({ ...request, headers: [], ...other })).toBeUndefined()
    expect(support).not.toHaveBeenCalled()
    for (const _ of [1, 2]) expect(engine.begin({ ...request, headers: [] })).toBeUndefined()
    expect(support).toHaveBeenCalledTimes(1)
    expect(lines).toHaveLength(1)
    expect(lines[0]).toContain('has no codec that takes a dictionary')
  })

  it('have to do with hosts that browsers trust without TLS', () => {
    const engine = new Dictionaries(settings, () => ({ dcb: true, dcz: false }))
    const asked = (authority: string) => engine.begin({ ...request, scheme: 'http', authority, headers: [] })
    for (const host of [
      'localhost',
      'localhost:80',
      'App.LocalHost:80',
      '127.0.0.1:80',
      '127.9.9.9',
      '[::1]:80',
      '[::1]',
    ])
      expect(asked(host), host).toBeDefined()
    for (const host of [
      'a.example',
      'localhost.example',
      '127.example',
      '127.0.0.1.example:80',
      '10.0.0.1',
      '[::2]',
    ])
      expect(asked(host), host).toBeUndefined()
  })

  it('keep the plain bytes in place of offering stored forms; of what is dropped nothing is left', () => {
    const engine = new Dictionaries(settings, () => ({ dcb: true, dcz: false }))
    const found = engine.begin({ ...request, headers: [] }) as DictionaryCase
    const variants = { get: () => undefined, put: () => undefined }
    const first = engine.keep(found, reply({ variants }))
    expect(first.variants).toBeUndefined()
    // While its bytes are on their way, another's are not kept beside it.
    const second = engine.keep(found, reply({ variants }))
    expect([second.variants, second.body]).toEqual([variants, reply().body])
    discard(first)
    expect(engine.keep(found, reply({ variants })).variants).toBeUndefined()
  })

  it('never edit a reply, which may be given to many', () => {
    const engine = new Dictionaries(settings, () => ({ dcb: true, dcz: false }))
    const found = engine.begin({ ...request, headers: [] })
    if (found === undefined) throw new Error('dictionaries have nothing to do with it')
    const given = Object.freeze(reply({ headers: Object.freeze(reply().headers) as string[] }))
    const made = engine.code(found, engine.keep(found, given))
    expect(made.headers).toEqual([
      ...given.headers,
      'Use-As-Dictionary',
      'match="/app.js"',
      'Vary',
      'Accept-Encoding, Available-Dictionary',
    ])
    const star = engine.code(found, reply({ headers: [...given.headers, 'Vary', '*'] }))
    expect(star.headers).toEqual([...given.headers, 'Vary', '*'])
    const some = engine.code(
      found,
      reply({ headers: ['Vary', 'Origin', ...given.headers, 'Vary', 'accept-encoding'] }),
    )
    expect(some.headers).toEqual([
      'Vary',
      'Origin, Available-Dictionary',
      ...given.headers,
      'Vary',
      'accept-encoding',
    ])
  })

  it('leave out digests of the plain bytes that come behind them', () => {
    const engine = new Dictionaries(settings)
    const dictionary = dictionaryOf(Buffer.from('bytes'), new PathPattern('/app.js'))
    const { method, headers, path } = request
    const found: DictionaryCase = {
      ...{ method, headers: [...headers], path, origin: 'https://a.example' },
      ...{ rule: undefined, meant: true, shared: { dictionary, coding: 'dcb' } },
    }
    const coded = engine.code(found, reply({ trailers: () => ['Repr-Digest', 'sha-256=:AA==:', 'X', '1'] }))
    expect(coded.headers).toContain('dcb')
    expect(coded.trailers?.()).toEqual(['X', '1'])
    discard(coded)
  })

  it.each([[undefined], [null], ['text']])('pass what is no reply: %s', (given) => {
    const engine = new Dictionaries(settings, () => ({ dcb: true, dcz: false }))
    const found = engine.begin({ ...request, headers: [] }) as DictionaryCase
    expect(engine.code(found, engine.keep(found, given as unknown as Reply))).toBe(given)
  })

  it('finish nothing as a whole that is shorter than it says', async () => {
    const engine = new Dictionaries(settings)
    const dictionary = dictionaryOf(Buffer.from('bytes'), new PathPattern('/app.js'))
    const { method, path } = request
    const found: DictionaryCase = {
      ...{ method, headers: [], path, origin: 'https://a.example' },
      ...{ rule: undefined, meant: true, shared: { dictionary, coding: 'dcb' } },
    }
    const headers = ['Content-Type', 'text/javascript', 'Content-Length', '2000']
    const coded = engine.code(found, reply({ headers, body: Readable.from([Buffer.alloc(1000)]) }))
    await expect(buffer(toReadable(coded.body))).rejects.toMatchObject({ code: 'http_response_incomplete' })
  })
})
