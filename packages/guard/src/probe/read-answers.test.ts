import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type ProbeAnswer, readAnswers } from './read-answers.js'

const read = (text: string, ended = false, heads: readonly number[] = []): readonly ProbeAnswer[] =>
  readAnswers(text, ended, (answer) => heads.includes(answer))
const short = (answers: readonly ProbeAnswer[]): unknown[] =>
  answers.map(({ status, body, whole }) => [status, body, whole])

describe('answers in bytes', () => {
  it.each<[string, string, unknown[]]>([
    ['by length', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi', [[200, 'hi', true]]],
    ['cut', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi', [[200, 'hi', false]]],
    [
      'in chunks',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
      [[200, 'hi', true]],
    ],
    [
      'in chunks with extensions and trailers',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nA: b\r\n\r\n',
      [[200, 'hi', true]],
    ],
    [
      'in cut chunks',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n',
      [[200, 'hi', false]],
    ],
    ['without a body', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n', [[204, '', true]]],
    [
      'behind an informational one',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200\r\nContent-Length: 0\r\n\r\n',
      [
        [100, '', true],
        [200, '', true],
      ],
    ],
    [
      'one behind the other',
      'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n',
      [
        [200, 'a', true],
        [400, '', true],
      ],
    ],
    ['with half a head', 'HTTP/1.1 200 OK\r\nContent-Le', []],
    ['that are none', 'SSH-2.0-OpenSSH\r\n\r\n', []],
    ['of which there are none', '', []],
  ])('%s', (_name, text, expected) => {
    expect(short(read(text))).toEqual(expected)
  })

  it('end with the connection where nothing else tells', () => {
    const text = 'HTTP/1.1 200 OK\r\n\r\nall of it'
    expect(short(read(text))).toEqual([[200, 'all of it', false]])
    expect(short(read(text, true))).toEqual([[200, 'all of it', true]])
  })

  it('to HEAD have no body, whatever their length says', () => {
    const text = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb'
    expect(short(read(text, false, [0]))).toEqual([
      [200, '', true],
      [200, 'b', true],
    ])
  })

  it('join what a field says more than once', () => {
    const [answer] = read('HTTP/1.1 200 OK\r\nVary: a\r\nVARY: b\r\nodd line\r\nContent-Length: 0\r\n\r\n')
    expect([...(answer?.fields ?? [])]).toEqual([
      ['vary', 'a, b'],
      ['content-length', '0'],
    ])
  })

  it('are the same however many bytes have come, as far as they have', () => {
    const text =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHTTP/\r\n0\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!'
    const all = short(read(text))
    expect(all).toEqual([
      [100, '', true],
      [200, 'HTTP/', true],
      [404, 'no!', true],
    ])
    for (let length = 0; length <= text.length; length++) {
      const whole = short(read(text.slice(0, length)).filter((answer) => answer.whole))
      expect(whole).toEqual(all.slice(0, whole.length))
    }
  })

  it('never throw, and never take more than there is', () => {
    const piece = fc.constantFrom(
      'HTTP/1.1 200 OK\r\n',
      'Content-Length: 4\r\n',
      'Transfer-Encoding: chunked\r\n',
      '\r\n',
      '4\r\n',
      '0\r\n',
      'abcd',
      '\n',
      'fffffff\r\n',
      'Content-Length: x\r\n',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), fc.boolean(), (pieces, ended) => {
        const text = pieces.join('')
        const answers = read(text, ended)
        expect(answers.reduce((sum, { body }) => sum + body.length, 0)).toBeLessThanOrEqual(text.length)
      }),
    )
  })
})
