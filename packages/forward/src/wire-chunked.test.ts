import { ProxyError } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { ChunkedDecoder } from './wire-chunked.js'
import { wireLimits } from './wire-limits.js'

/** The body of `text`, and what is left behind its last chunk; or what is wrong with it. */
function decode(text: string, step = text.length): string {
  const decoder = new ChunkedDecoder()
  const bytes = Buffer.from(text, 'latin1')
  let body = ''
  const data = {
    data: (from: number, to: number) => {
      body += bytes.toString('latin1', from, to)
    },
  }
  let at = 0
  try {
    while (at < bytes.length && !decoder.done) {
      const end = Math.min(at + step, bytes.length)
      const read = decoder.decode(bytes, at, end, data)
      if (!decoder.done && read !== end) throw new Error('it has stopped before the end')
      at = read
    }
  } catch (error) {
    if (!(error instanceof ProxyError)) throw error
    expect(error.code).toBe('http_protocol_error')
    return error.message
  }
  return decoder.done ? `${body}|${bytes.toString('latin1', at)}` : `${body}…`
}

function inAllWays(text: string): string {
  const one = decode(text)
  for (const step of [1, 2, 3, 5, 7]) expect(decode(text, step)).toBe(one)
  return one
}

const extension = (count: number): string => `;${'x'.repeat(count)}`

describe('chunks (RFC 9112 section 7.1)', () => {
  it.each([
    ['0\r\n\r\n', '|\r\n'],
    ['000\r\n', '|'],
    ['3\r\nabc\r\n0\r\n', 'abc|'],
    ['3\r\nabc\r\n2\r\n\r\n\r\n0\r\nA: b\r\n', 'abc\r\n|A: b\r\n'],
    ['0000000000003\r\nabc\r\n0\r\n', 'abc|'],
    ['A\r\n0123456789\r\n0\r\n', '0123456789|'],
    ['a\r\n0123456789\r\n0\r\n', '0123456789|'],
    ['10\r\n0123456789abcdef\r\n0\r\n', '0123456789abcdef|'],
    ['5\r\nabc', 'abc…'],
    ['3\r\nabc\r\n', 'abc…'],
    ['3\r\nabc\r\n0\r', 'abc…'],
  ])('%j', (text, expected) => {
    expect(inAllWays(text)).toBe(expected)
  })

  it.each([
    ';a',
    ';a=b',
    ';a;b',
    ';a=b;c=d;e',
    ';a="b"',
    ';a=""',
    ';a="; \t\\"\\\\ \xe9";b',
    ";!#$%&'*+-.^_`|~=~",
    extension(wireLimits.chunkExtension),
  ])('an extension such as %j means nothing', (text) => {
    expect(inAllWays(`3${text}\r\nabc\r\n0${text}\r\n`)).toBe('abc|')
  })

  it.each([
    ['nothing', '\r\nabc'],
    ['a blank before', ' 3\r\nabc\r\n'],
    ['a blank behind', '3 \r\nabc\r\n'],
    ['a tab behind', '3\t\r\nabc\r\n'],
    ['a prefix', '0x3\r\nabc\r\n'],
    ['an upper-case prefix', '0X3\r\nabc\r\n'],
    ['another prefix', 'x3\r\nabc\r\n'],
    ['a plus', '+3\r\nabc\r\n'],
    ['a minus', '-3\r\nabc\r\n'],
    ['an underscore', '1_0\r\n'],
    ['a fraction', '3.0\r\n'],
    ['a letter that is no digit', 'g\r\n'],
    ['a digit of another script', '\xb3\r\n'],
    ['NUL', '3\0\r\nabc\r\n'],
    ['14 digits', '00000000000003\r\nabc\r\n'],
    ['more than 2^53', '20000000000001\r\n'],
    ['more than 2^64', '10000000000000003\r\nabc\r\n'],
    ['a line feed alone', '3\nabc\r\n'],
    ['a carriage return alone', '3\rabc\r\n'],
    ['two carriage returns', '3\r\r\nabc\r\n'],
    ['a line feed alone behind the last', '0\n\n'],
    ['a comma', '3,3\r\nabc\r\n'],
  ])('a size with %s is refused', (_, text) => {
    expect(inAllWays(`${text}0\r\n`)).toMatch(/chunk/)
    expect(inAllWays(`1\r\nx\r\n${text}0\r\n`)).toMatch(/chunk/)
  })

  it.each([
    ['longer than its size', '3\r\nabcd\r\n0\r\n'],
    ['with another byte for its carriage return', '3\r\nabcd\n0\r\n'],
    ['with another byte for its line feed', '3\r\nabc\rd0\r\n'],
    ['shorter than its size', '5\r\nabc\r\n0\r\n'],
    ['without an end', '3\r\nabc0\r\n'],
    ['with a line feed alone', '3\r\nabc\n0\r\n'],
    ['with a carriage return alone', '3\r\nabc\r0\r\n'],
    ['with an empty line too many', '3\r\nabc\r\n\r\n0\r\n'],
  ])('a chunk %s is refused', (_, text) => {
    expect(inAllWays(text)).toMatch(/chunk/)
  })

  it.each([
    ';',
    ';;a',
    ';a;',
    ';=b',
    ';a=',
    ';a==b',
    ';a=;b',
    '; a',
    ' ;a',
    ';a ',
    ';a =b',
    ';a= b',
    ';a\t',
    ';a="b',
    ';a="b"c',
    ';a="b" ',
    ';a=b"c"',
    ';a="b\\',
    ';a\xe9',
    ';a=\xe9',
    ';a\0',
    ';a="\0"',
    ';a="\x7f"',
    ';a="\\\x01"',
    ';a="\\\r\n"',
    ';a="\r\n"',
    ';a\n',
    ';a=b\n',
    ';a=";\n"',
    ';a\rb',
    ';a,b',
    ';"a"',
    extension(wireLimits.chunkExtension + 1),
    `;a="${'x'.repeat(wireLimits.chunkExtension)}"`,
  ])('an extension such as %j is refused', (text) => {
    expect(inAllWays(`3${text}\r\nabc\r\n0\r\n`)).toMatch(/chunk/)
    expect(inAllWays(`0${text}\r\n\r\n`)).toMatch(/chunk/)
  })

  it('each chunk has its own limit', () => {
    const chunk = `1${extension(wireLimits.chunkExtension)}\r\nx\r\n`
    expect(inAllWays(`${chunk.repeat(4)}0\r\n`)).toBe('xxxx|')
  })

  it('the largest size is a number that can be counted down', () => {
    expect(inAllWays('fffffffffffff\r\nabc')).toBe('abc…')
  })

  it('begins anew', () => {
    const decoder = new ChunkedDecoder()
    const bytes = Buffer.from('2;a\r\nab\r\n0\r\n')
    for (let i = 0; i < 2; i++) {
      let body = ''
      decoder.decode(bytes, 0, bytes.length, {
        data: (from, to) => {
          body += bytes.toString('latin1', from, to)
        },
      })
      expect([body, decoder.done]).toEqual(['ab', true])
      decoder.reset()
      expect(decoder.done).toBe(false)
    }
    decoder.decode(bytes, 0, 7, { data: () => {} })
    decoder.reset()
    expect(decoder.decode(bytes, 0, bytes.length, { data: () => {} })).toBe(bytes.length)
  })
})
