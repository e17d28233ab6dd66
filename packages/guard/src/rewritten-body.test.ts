import { type Body, type Sink, toBody } from '@sluice/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HiddenOrigins, type PublicPlace } from './hidden-origins.js'
import { RewrittenBody } from './rewritten-body.js'

const hidden = new HiddenOrigins([
  'http://10.0.0.5:3000/app',
  'https://app-1.internal',
  'http://[fd00::5]:3000',
])
const place: PublicPlace = { scheme: 'https', authority: 'shop.example:8443', prefix: '/api' }

/** A body that gives these parts, and what came out, part by part. */
function flow(parts: readonly Uint8Array[]): { came: Uint8Array[]; ended: boolean } {
  const out = { came: [] as Uint8Array[], ended: false }
  const source: Body = {
    pipe(to: Sink) {
      for (const part of parts) to.write(part)
      to.end()
    },
    readable: () => {
      throw new Error('not here')
    },
    cancel() {},
  }
  new RewrittenBody(source, { trailers() {}, hidden, place }).pipe({
    write(chunk) {
      out.came.push(chunk)
      return true
    },
    end() {
      out.ended = true
    },
    abort() {},
    onDrain() {},
  })
  return out
}

const text = (parts: readonly Uint8Array[]): string => Buffer.concat(parts).toString('latin1')

/** `bytes` cut at these places. */
function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const places = [...new Set(at.map((each) => each % (bytes.length + 1)))].sort((a, b) => a - b)
  return [...places, bytes.length].map((end, i) => bytes.subarray(places[i - 1] ?? 0, end))
}

const pieces = fc.constantFrom(
  'http',
  'https',
  'ws',
  ':',
  '/',
  '//',
  '10.0.0.5',
  ':3000',
  ':30',
  '/app',
  '/app/x',
  '/apple',
  'app-1.internal',
  '[fd00::5]',
  '[fd00:0:0:0:0:0:0:0005]',
  '%5Bfd00%3A%3A5%5D',
  '[',
  '.',
  '\\/',
  '\\',
  '%2F',
  '%3A',
  '%',
  '&#47;',
  '@',
  '%40',
  '&#64;',
  'git@',
  '&',
  '\\u002f',
  'a',
  'h',
  '"',
  ' ',
  'é',
  '\n',
  'x'.repeat(300),
)

describe('a rewritten body', () => {
  it('is the same over any split of its parts', () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 40 }), fc.array(fc.nat(), { maxLength: 20 }), (list, at) => {
        const whole = Buffer.from(list.join(''), 'utf8')
        const { came, ended } = flow(cut(whole, at))
        expect(text(came)).toBe(hidden.urls(whole.toString('latin1'), place))
        expect(ended).toBe(true)
      }),
      { numRuns: 2_000 },
    )
  })

  it('is the same wherever one cut is made, also right behind a word or a dot', () => {
    const texts = [
      'https.http://app-1.internal/x',
      '//app-1.internal:3000http://app-1.internal',
      '//app-1.internal./app and //app-1.internal.',
      'xhttp://10.0.0.5:3000/apple ws://10.0.0.5:3000/app/',
      String.raw`http:\/\/app-1.internal:3000\/x`,
      '//http://app-1.internal',
      'http://git@app-1.internal/x and //git:a@b%40app-1.internal:3000',
      'http:&#x2F;&#x2F;git&#64;10.0.0.5:3000@x',
      `//${'u'.repeat(120)}@app-1.internal//${'u'.repeat(128)}@app-1.internal//${'u'.repeat(129)}@app-1.internal/`,
      `http%253A%252F%252F${'%252521'.repeat(18)}%252540app-1.internal%25253A3000`,
    ]
    const hiddenText = fc.oneof(
      fc.constantFrom(...texts),
      fc.array(pieces, { maxLength: 12 }).map((list) => list.join('')),
    )
    fc.assert(
      fc.property(hiddenText, (source) => {
        const whole = Buffer.from(source, 'utf8')
        const expected = hidden.urls(whole.toString('latin1'), place)
        for (let at = 0; at <= whole.length; at++) expect(text(flow(cut(whole, [at])).came)).toBe(expected)
      }),
      { numRuns: 500 },
    )
  })

  it('is byte for byte the same where nothing is found, in the parts in which it came', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 60 }), { maxLength: 10 }), (parts) => {
        expect(Buffer.concat(flow(parts).came)).toEqual(Buffer.concat(parts))
      }),
    )
    const part = Buffer.from('<p>nothing here</p>')
    expect(flow([part, part]).came).toEqual([part, part])
    expect(flow([part]).came[0]).toBe(part)
  })

  it('holds no more than what may become a name', () => {
    const { came } = flow([Buffer.from('<a href="http://10.0.0.'), Buffer.from('5:3000/app/x">')])
    expect(came.map((each) => Buffer.from(each).toString())).toEqual([
      '<a href="',
      'https://shop.example:8443/api/x">',
    ])
    // What is a name so far may be a user's, with a host behind it.
    expect(flow([Buffer.from('see http://elsewhere.exam'), Buffer.from('ple/x')]).came.map(String)).toEqual([
      'see ',
      'http://elsewhere.example/x',
    ])
    for (const harmless of [`http://${'u'.repeat(130)}`, 'http://elsewhere.example/x', 'a b', '{"x":1}\n'])
      expect(flow([Buffer.from(harmless), Buffer.from('!')]).came).toHaveLength(2)
    const long = Buffer.from(`http://10.0.0.5${'0'.repeat(10_000)}`)
    expect(flow([long]).came[0]).toBe(long)
  })

  it('has the trailers of its source, edited', async () => {
    const fields: string[][] = []
    const body = new RewrittenBody(toBody('x') as Body, {
      trailers: (list) => {
        list.push('seen', 'yes')
        fields.push(list)
      },
    })
    expect(body.length).toBe(1)
    body.write(Buffer.from('x'))
    body.end(['a', 'b'])
    expect(body.trailers).toEqual(['a', 'b', 'seen', 'yes'])
  })
})
