import { chunked, type ProbeCase, type ProbeTarget, request, thenPlain } from './probe-case.js'
import { endsConnection } from './verdicts.js'

/** What is hidden in a body, to be taken for a request of its own. */
const hidden = (to: ProbeTarget, method = 'GET'): string => request(to, method)
/**
 * Lengths that reach over a whole request behind the last chunk.
 * @param fields the two fields, given the length
 */
const over = (fields: (length: number) => readonly string[], method = 'GET'): ProbeCase['send'] =>
  thenPlain((to) => {
    const body = `0\r\n\r\n${hidden(to, method)}`
    return request(to, 'POST', fields(body.length), body)
  })
const hard = { level: 'must', right: '400 and closed, or closed', judge: endsConnection() } as const
const soft = { level: 'may', right: '400 and closed, or closed', judge: endsConnection() } as const
const rfc9112 = 'RFC 9112 section 6.1'
const te = 'Transfer-Encoding: chunked'

/** Bodies that two parsers end at two places, with what would be a request behind the nearer one. */
export const desyncCases: readonly ProbeCase[] = [
  {
    id: 'desync-length-short',
    says: 'a length shorter than the chunks',
    source: rfc9112,
    ...soft,
    send: thenPlain((to) => request(to, 'POST', ['Content-Length: 4', te], '0\r\n\r\n')),
  },
  {
    id: 'desync-length-long',
    says: 'chunks shorter than the length',
    source: rfc9112,
    ...soft,
    send: thenPlain((to) => request(to, 'POST', [te, 'Content-Length: 30'], '0\r\n\r\n')),
  },
  {
    id: 'desync-length-first',
    says: 'a length and chunked that agree, the length first',
    source: rfc9112,
    ...hard,
    send: thenPlain((to) => request(to, 'POST', ['Content-Length: 5', te], '0\r\n\r\n')),
  },
  {
    id: 'desync-coding-first',
    says: 'a length and chunked that agree, chunked first',
    source: rfc9112,
    ...hard,
    send: thenPlain((to) => request(to, 'POST', [te, 'Content-Length: 5'], '0\r\n\r\n')),
  },
  {
    id: 'desync-byte-behind-chunks',
    says: 'one byte behind the last chunk, within the length',
    source: rfc9112,
    ...hard,
    send: thenPlain((to) => request(to, 'POST', ['Content-Length: 6', te], '0\r\n\r\nX')),
  },
  {
    id: 'desync-byte-before-length',
    says: 'one byte behind the last chunk, and a length beyond it',
    source: rfc9112,
    ...hard,
    send: thenPlain((to) => request(to, 'POST', [te, 'Content-Length: 30'], '0\r\n\r\nX')),
  },
  {
    id: 'desync-get',
    says: 'a GET behind the last chunk, within the length',
    source: rfc9112,
    ...hard,
    send: over((length) => [`Content-Length: ${length}`, te]),
  },
  {
    id: 'desync-head',
    says: 'a HEAD behind the last chunk, within the length',
    source: rfc9112,
    ...hard,
    send: over((length) => [`Content-Length: ${length}`, te], 'HEAD'),
  },
  {
    id: 'desync-get-length-plus',
    says: 'a GET behind the last chunk, and a length with a plus',
    source: rfc9112,
    ...hard,
    send: over((length) => [`Content-Length: +${length}`, te]),
  },
  {
    id: 'desync-get-length-letter',
    says: 'a GET behind the last chunk, and a length with a letter',
    source: rfc9112,
    ...hard,
    send: over((length) => [`Content-Length: ${length}z`, te]),
  },
  {
    id: 'desync-get-folded',
    says: 'a GET behind the last chunk, chunked on a folded line',
    source: 'RFC 9112 section 5.2',
    ...hard,
    send: over((length) => ['Transfer-Encoding:\r\n chunked', `Content-Length: ${length}`]),
  },
  {
    id: 'desync-get-space-behind',
    says: 'a GET behind the last chunk, a space behind chunked',
    source: rfc9112,
    ...hard,
    send: over((length) => [`Content-Length: ${length}`, `${te} `]),
  },
  {
    id: 'desync-get-comma-before',
    says: 'a GET behind the last chunk, an empty element before chunked',
    source: rfc9112,
    ...hard,
    send: over((length) => [`Content-Length: ${length}`, 'Transfer-Encoding: , chunked']),
  },
  {
    id: 'desync-get-capital',
    says: 'a GET behind the last chunk, and Chunked',
    source: rfc9112,
    ...hard,
    send: over((length) => [`Content-Length: ${length}`, 'Transfer-Encoding: Chunked']),
  },
  {
    id: 'desync-get-coding-twice',
    says: 'a GET behind the last chunk, and two Transfer-Encoding fields',
    source: rfc9112,
    ...hard,
    send: over((length) => [te, 'Transfer-Encoding: identity', `Content-Length: ${length}`]),
  },
  {
    id: 'desync-get-in-chunk',
    says: 'a GET as a chunk, and a length that ends before it',
    source: rfc9112,
    ...hard,
    send: thenPlain((to) => {
      // Its own length takes what the chunk leaves behind, so that it would be whole.
      const inside = request(to, 'GET', ['Content-Length: 7'])
      const size = inside.length.toString(16)
      return request(
        to,
        'POST',
        [te, `Content-Length: ${size.length + 2}`],
        `${size}\r\n${inside}\r\n0\r\n\r\n`,
      )
    }),
  },
  {
    id: 'desync-get-length-twice',
    says: 'a GET between what two lengths say',
    source: 'RFC 9110 section 8.6',
    ...hard,
    send: thenPlain((to) => {
      const body = `tiny${hidden(to)}`
      return request(to, 'POST', ['Content-Length: 4', `Content-Length: ${body.length}`], body)
    }),
  },
  {
    id: 'desync-options-folded',
    says: 'OPTIONS with chunked on a folded line, and a length',
    source: 'RFC 9112 section 5.2',
    ...hard,
    send: thenPlain((to) =>
      request(to, 'OPTIONS', ['Transfer-Encoding:\r\n chunked', 'Content-Length: 5'], 'seven'),
    ),
  },
  {
    id: 'desync-chunk-plus-zero',
    says: 'a last chunk of size +0, and a byte behind it',
    source: 'RFC 9112 section 7.1',
    ...hard,
    send: thenPlain((to) => chunked(to, '+0\r\n\r\nX')),
  },
]
