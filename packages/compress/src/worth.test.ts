import { PassThrough, Readable } from 'node:stream'
import { type Reply, unhandled } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isCompressible, isOfRequest, type WhyNot, whyNot } from './worth.js'

const worth = { threshold: 1_000, types: isCompressible }
const html = ['Content-Type', 'text/html']
const page = 'x'.repeat(1_000)

const reply = (headers: HeaderList = html, body: Reply['body'] = page, status = 200): Reply => ({
  status,
  headers,
  body,
})
const why = (of: Reply, method = 'GET', request: HeaderList = []) => whyNot(method, request, of, worth)
const stream = () => Readable.from(['x'])

describe('whyNot', () => {
  it.each<[string, WhyNot | undefined, Reply]>([
    ['a page', undefined, reply()],
    ['a page that says it is an error', undefined, reply(html, page, 500)],
    ['bytes', undefined, reply(html, Buffer.from(page))],
    ['a stream of unknown length', undefined, reply(html, stream())],
    ['a body of unknown length', undefined, reply(html, { pipe() {}, readable: stream, cancel() {} })],
    ['nobody has answered', 'unhandled', unhandled],
    ['an upgrade', 'socket', { ...reply(html, null, 101), socket: new PassThrough() }],
    ['a status without a body', 'no-content', reply(html, null, 204)],
    ['a form to be reset', 'no-content', reply(html, null, 205)],
    ['not modified', 'not-modified', reply([], null, 304)],
    ['not modified, of a type that is worth it', 'not-modified', reply(html, null, 304)],
    ['not modified, of a type that is not', 'type', reply(['Content-Type', 'image/png'], null, 304)],
    ['a part', 'part', reply(html, page, 206)],
    ['a part by its field', 'part', reply([...html, 'content-range', 'bytes 0-9/20'])],
    ['a part of an image', 'type', reply(['Content-Type', 'image/png'], page, 206)],
    ['parts', 'part', reply(['Content-Type', 'multipart/byteranges; boundary=x'], page, 206)],
    ['the type of parts in a whole', 'type', reply(['Content-Type', 'multipart/byteranges; boundary=x'])],
    ['no body', 'no-body', reply(html, null)],
    ['an empty text', 'no-body', reply(html, '')],
    ['empty bytes', 'no-body', reply(html, Buffer.alloc(0))],
    ['coded', 'coded', reply([...html, 'Content-Encoding', 'gzip'])],
    [
      'coded in two lines',
      'coded',
      reply([...html, 'Content-Encoding', 'identity', 'content-encoding', 'br']),
    ],
    ['coded by who knows what', 'coded', reply([...html, 'Content-Encoding', 'aws-chunked'])],
    ['coded by nothing', undefined, reply([...html, 'Content-Encoding', 'identity'])],
    ['coded by an empty field', undefined, reply([...html, 'Content-Encoding', ' '])],
    ['no-transform', 'no-transform', reply([...html, 'Cache-Control', 'public, No-Transform'])],
    [
      'no-transform in the second line',
      'no-transform',
      reply([...html, 'cache-control', 'a', 'Cache-Control', 'no-transform']),
    ],
    ['no-transform with a value', 'no-transform', reply([...html, 'Cache-Control', 'no-transform=1'])],
    ['no-transform in quotes', undefined, reply([...html, 'Cache-Control', 'x="no-transform, y"'])],
    ['another directive', undefined, reply([...html, 'Cache-Control', 'x-no-transform, no-transformer'])],
    ['no type', 'type', reply([])],
    ['an empty type', 'type', reply(['Content-Type', ''])],
    ['parameters without a type', 'type', reply(['Content-Type', '; charset=utf-8'])],
    ['an image', 'type', reply(['Content-Type', 'image/png'])],
    ['a type in upper case with parameters', undefined, reply(['content-type', 'TEXT/HTML ;charset=UTF-8'])],
    ['a type that a parameter names', 'type', reply(['Content-Type', 'image/png; like=text/html'])],
    ['a type that all objects have', 'type', reply(['Content-Type', '__proto__'])],
    ['a text below the threshold', 'small', reply(html, page.slice(1))],
    ['characters of two bytes', undefined, reply(html, 'ü'.repeat(500))],
    ['bytes below the threshold', 'small', reply(html, Buffer.alloc(999))],
    ['a length below the threshold', 'small', reply([...html, 'Content-Length', '999'], stream())],
    ['a length at the threshold', undefined, reply([...html, 'Content-Length', '1000'], stream())],
    ['a length that is none', undefined, reply([...html, 'Content-Length', '9, 9'], stream())],
    ['an empty length', undefined, reply([...html, 'Content-Length', ''], stream())],
    ['a length of none', 'no-body', reply([...html, 'Content-Length', '0'], stream())],
    ['a body that knows its length better', undefined, reply([...html, 'Content-Length', '999'])],
  ])('%s: %s', (_name, expected, of) => {
    expect(why(of)).toBe(expected)
  })

  it('knows the length that a body tells', () => {
    const body = { length: 999, pipe() {}, readable: stream, cancel() {} }
    expect(why(reply(html, body))).toBe('small')
    expect(why(reply(html, { ...body, length: 1_000 }))).toBeUndefined()
  })

  it('judges HEAD as it would GET', () => {
    expect(why(reply(html, null), 'HEAD')).toBeUndefined()
    expect(why(reply([...html, 'Content-Length', '1000'], null), 'HEAD')).toBeUndefined()
    expect(why(reply([...html, 'Content-Length', '999'], null), 'HEAD')).toBe('small')
    expect(why(reply(['Content-Type', 'image/png'], null), 'HEAD')).toBe('type')
  })

  it('lets the client ask for the bytes as they are', () => {
    const asked = ['cache-control', 'max-age=0', 'Cache-Control', 'NO-TRANSFORM']
    expect(why(reply(), 'GET', asked)).toBe('asked-as-is')
    expect(why(reply(html, 'x'), 'GET', asked)).toBe('small')
    expect(why(reply(), 'GET', ['Cache-Control', 'no-cache'])).toBeUndefined()
  })

  it('asks a function of the user with the type alone, in lower case', () => {
    const seen: string[] = []
    const types = (type: string) => seen.push(type) > 1
    const headers = ['Content-Type', ' Application/X-Mine; Charset="A;b"']
    expect(whyNot('GET', [], reply(headers), { threshold: 0, types })).toBe('type')
    expect(whyNot('GET', [], reply(headers), { threshold: 0, types })).toBeUndefined()
    expect(seen).toEqual(['application/x-mine', 'application/x-mine'])
  })

  it('asks no function about what has no type', () => {
    const all = { threshold: 0, types: () => true }
    for (const headers of [[], ['Content-Type', ''], ['Content-Type', ' ; charset=utf-8']])
      expect(whyNot('GET', [], reply(headers), all)).toBe('type')
  })

  it('never lets a codec make bytes of none, whatever the threshold', () => {
    expect(whyNot('GET', [], reply(html, ''), { ...worth, threshold: 0 })).toBe('no-body')
    expect(whyNot('GET', [], reply(html, 'x'), { ...worth, threshold: 0 })).toBeUndefined()
  })

  it('gives to HEAD what it gives to GET, whatever the fields say', () => {
    const names = ['Content-Type', 'Content-Encoding', 'content-range', 'CACHE-CONTROL', 'ETag']
    const values = ['', 'text/html', 'image/png', 'gzip', 'identity', 'no-transform', '"', 'bytes 0-1/2']
    const field = fc.tuple(fc.constantFrom(...names), fc.oneof(fc.constantFrom(...values), fc.string()))
    const status = fc.constantFrom(200, 204, 205, 206, 304, 404)
    fc.assert(
      fc.property(fc.array(field), fc.nat(2_000), status, (fields, length, code) => {
        const headers = [...fields.flat(), 'Content-Length', String(length)]
        const of = reply(headers, 'x'.repeat(length), code)
        expect(why({ ...of, body: null }, 'HEAD')).toBe(why(of))
      }),
    )
  })
})

describe('isOfRequest', () => {
  it.each<[WhyNot, boolean]>([
    ['unhandled', false],
    ['socket', false],
    ['no-content', false],
    ['coded', false],
    ['no-transform', false],
    ['type', false],
    ['no-body', false],
    ['small', false],
    ['part', true],
    ['not-modified', true],
    ['asked-as-is', true],
  ])('%s: %s', (reason, expected) => {
    expect(isOfRequest(reason)).toBe(expected)
  })
})

describe('isCompressible', () => {
  it.each([
    ...['text/html', 'text/event-stream', 'text/x-unheard-of', 'application/json', 'application/javascript'],
    ...['image/svg+xml', 'application/wasm', 'application/problem+json', 'application/vnd.mine+xml'],
    ...['application/ndjson', 'application/x-ndjson', 'application/jsonl', 'application/json-seq'],
    ...['application/geo+json-seq', 'application/grpc-web+proto', 'application/grpc-web-text'],
    ...['application/yaml', 'application/openapi+yaml'],
  ])('%s', (type) => {
    expect(isCompressible(type)).toBe(true)
  })

  it.each([
    ...[
      'image/png',
      'image/webp',
      'video/mp4',
      'application/zip',
      'application/gzip',
      'application/pdf',
      'font/woff2',
    ],
    // Its messages are compressed by a means of its own.
    ...['application/grpc', 'application/grpc+proto'],
    ...['', 'text', 'x', 'constructor', 'application/x-unheard-of', 'application/ndjsonx'],
  ])('not %s', (type) => {
    expect(isCompressible(type)).toBe(false)
  })
})
