import { type ProbeCase, request, thenPlain, withLine } from './probe-case.js'
import { refused } from './verdicts.js'

/** A POST with this Transfer-Encoding line, and a length of 5 next to it. */
const coding = (line: string) => thenPlain((to) => request(to, 'POST', [line, 'Content-Length: 5'], 'seven'))
const hard = { level: 'must', right: '400 or closed', judge: refused() } as const
const unknown = {
  level: 'must',
  right: '400, 501 or closed',
  judge: refused({ statuses: [400, 501] }),
} as const
const soft = { level: 'should', right: '400 or closed', judge: refused({ served: 'tolerated' }) } as const
const rfc9112 = 'RFC 9112 section 6.1'

/** What Transfer-Encoding says, for itself and next to a length. */
export const codingCases: readonly ProbeCase[] = [
  {
    id: 'coding-unknown',
    says: 'a transfer coding other than chunked',
    source: rfc9112,
    ...unknown,
    send: thenPlain((to) => request(to, 'POST', ['Transfer-Encoding: gzip'])),
  },
  {
    id: 'coding-almost-chunked',
    says: 'a coding whose name ends with chunked',
    source: rfc9112,
    ...unknown,
    send: coding('Transfer-Encoding: xchunked'),
  },
  {
    id: 'coding-identity',
    says: 'the coding identity, which is no more',
    source: 'RFC 9112 section 7',
    ...unknown,
    send: coding('Transfer-Encoding: identity'),
  },
  {
    id: 'coding-chunked-not-last',
    says: 'chunked, and another coding after it',
    source: 'RFC 9112 section 6.3',
    ...hard,
    send: thenPlain((to) => request(to, 'POST', ['Transfer-Encoding: chunked, gzip'], '0\r\n\r\n')),
  },
  {
    id: 'coding-empty',
    says: 'an empty coding',
    source: rfc9112,
    ...hard,
    send: coding('Transfer-Encoding: '),
  },
  {
    id: 'coding-space-before-colon',
    says: 'a space between Transfer-Encoding and its colon',
    source: 'RFC 9112 section 5.1',
    ...hard,
    send: coding('Transfer-Encoding : chunked'),
  },
  {
    id: 'coding-space-behind',
    says: 'a space behind chunked, and a length',
    source: rfc9112,
    ...unknown,
    send: coding('Transfer-Encoding: chunked '),
  },
  {
    id: 'coding-vertical-tab',
    says: 'a vertical tab before chunked',
    source: rfc9112,
    ...hard,
    send: coding('Transfer-Encoding: \x0bchunked'),
  },
  {
    id: 'coding-form-feed',
    says: 'a form feed before chunked',
    source: rfc9112,
    ...hard,
    send: coding('Transfer-Encoding: \x0cchunked'),
  },
  {
    id: 'coding-nul',
    says: 'a NUL behind chunked',
    source: 'RFC 9110 section 5.5',
    ...hard,
    send: coding('Transfer-Encoding: chunked\0'),
  },
  {
    id: 'coding-folded',
    says: 'chunked on a folded line, and a length',
    source: 'RFC 9112 section 5.2',
    ...hard,
    send: coding('Transfer-Encoding:\r\n chunked'),
  },
  {
    id: 'coding-twice',
    says: 'two Transfer-Encoding fields, and a length',
    source: rfc9112,
    ...hard,
    send: coding('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity'),
  },
  {
    id: 'coding-chunked-twice',
    says: 'chunked two times, and a length',
    source: rfc9112,
    ...soft,
    send: coding('Transfer-Encoding: chunked, chunked'),
  },
  {
    id: 'coding-parameter',
    says: 'chunked with a parameter, and a length',
    source: 'RFC 9112 section 7',
    ...soft,
    send: coding('Transfer-Encoding: chunked;a=b'),
  },
  {
    id: 'coding-capital',
    says: 'Chunked, and a length',
    source: rfc9112,
    ...soft,
    send: coding('Transfer-Encoding: Chunked'),
  },
  {
    id: 'coding-comma-before',
    says: 'an empty element before chunked, and a length',
    source: 'RFC 9110 section 5.6.1',
    ...soft,
    send: coding('Transfer-Encoding: , chunked'),
  },
  {
    id: 'coding-comma-behind',
    says: 'an empty element behind chunked, and a length',
    source: 'RFC 9110 section 5.6.1',
    ...soft,
    send: coding('Transfer-Encoding: chunked,'),
  },
  {
    id: 'coding-http10',
    says: 'chunked in HTTP/1.0, and a length',
    source: rfc9112,
    ...hard,
    send: thenPlain((to) =>
      withLine(to, `POST ${to.path} HTTP/1.0`, ['Transfer-Encoding: chunked', 'Content-Length: 5'], 'seven'),
    ),
  },
  {
    id: 'coding-and-length',
    says: 'chunked, and the length of the chunks',
    source: rfc9112,
    ...soft,
    send: thenPlain((to) => {
      const chunks = '9\r\nsome text\r\n0\r\n\r\n'
      return request(to, 'POST', [`Content-Length: ${chunks.length}`, 'Transfer-Encoding: chunked'], chunks)
    }),
  },
]
