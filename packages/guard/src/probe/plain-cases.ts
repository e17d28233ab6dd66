import { chunked, type ProbeCase, type ProbeTarget, request, withLine } from './probe-case.js'
import { first, isSuccess, served } from './verdicts.js'

const one = (bytes: (to: ProbeTarget) => string, bodiless = false) => {
  return (to: ProbeTarget) => [{ bytes: bytes(to), ...(bodiless && { bodiless }) }]
}
const good = { level: 'must', right: 'a success', judge: served() } as const
/** An app that sends the body back shows whether it got all of it; another one shows nothing. */
const echoed = (body: string): Pick<ProbeCase, 'level' | 'right' | 'judge'> => ({
  level: 'must',
  right: 'a success',
  judge: served((answer) =>
    body.startsWith(answer.body) && answer.body !== body && answer.body !== '' ? 'wrong' : 'right',
  ),
})
/** Whether the answer of the app has a field that it should have; another answer than a success has nothing to say. */
const withField = (name: string): ProbeCase['judge'] =>
  served((answer) => (answer.fields.has(name) ? 'right' : 'tolerated'))
const chunkRule = 'RFC 9112 section 7.1'

/** Good requests: who refuses these refuses too much. */
export const plainCases: readonly ProbeCase[] = [
  {
    id: 'plain-get',
    says: 'a plain GET',
    source: 'RFC 9110 section 9.3.1',
    ...good,
    level: 'none',
    send: one((to) => request(to, 'GET')),
  },
  {
    id: 'plain-head',
    says: 'a HEAD, whose answer has no body',
    source: 'RFC 9110 section 9.3.2',
    level: 'must',
    right: 'a success without a body',
    // What stands behind the head of the answer would be taken for the next one's, which is asked for here.
    judge: (seen) => {
      const answer = first(seen[0])
      if (answer === undefined || !isSuccess(answer)) return served()(seen)
      return seen[1] === undefined || first(seen[1]) !== undefined ? 'right' : 'wrong'
    },
    send: (to) => [{ bytes: request(to, 'HEAD'), bodiless: true }, { bytes: request(to, 'GET') }],
  },
  {
    id: 'plain-post',
    says: 'a POST with a length',
    source: 'RFC 9112 section 6.2',
    ...echoed('seven'),
    send: one((to) => request(to, 'POST', ['Content-Length: 5'], 'seven')),
  },
  {
    id: 'plain-post-empty',
    says: 'a POST of length 0',
    source: 'RFC 9112 section 6.2',
    ...good,
    send: one((to) => request(to, 'POST', ['Content-Length: 0'])),
  },
  {
    id: 'plain-post-bare',
    says: 'a POST without a body',
    source: 'RFC 9112 section 6.3',
    ...good,
    send: one((to) => request(to, 'POST')),
  },
  {
    id: 'plain-post-range',
    says: 'a POST with a Range, which is for GET alone',
    source: 'RFC 9110 section 14.2',
    level: 'must',
    right: 'a success other than 206',
    judge: served((answer) => (answer.status === 206 ? 'wrong' : 'right')),
    send: one((to) => request(to, 'POST', ['Content-Length: 5', 'Range: bytes=0-2'], 'seven')),
  },
  {
    id: 'plain-chunk',
    says: 'a body of one chunk',
    source: chunkRule,
    ...echoed('seven'),
    send: one((to) => chunked(to, '5\r\nseven\r\n0\r\n\r\n')),
  },
  {
    id: 'plain-chunks',
    says: 'a body of two chunks',
    source: chunkRule,
    ...echoed('seven and nine'),
    send: one((to) => chunked(to, '5\r\nseven\r\n9\r\n and nine\r\n0\r\n\r\n')),
  },
  {
    id: 'plain-chunks-none',
    says: 'a chunked body without a byte',
    source: chunkRule,
    ...good,
    send: one((to) => chunked(to, '0\r\n\r\n')),
  },
  {
    id: 'plain-chunk-capital-hex',
    says: 'a chunk size in capital letters',
    source: chunkRule,
    ...echoed('a dozen...'),
    send: one((to) => chunked(to, 'A\r\na dozen...\r\n0\r\n\r\n')),
  },
  {
    id: 'plain-chunk-extension',
    says: 'a chunk with an extension',
    source: 'RFC 9112 section 7.1.1',
    ...echoed('seven'),
    send: one((to) => chunked(to, '5;name=value\r\nseven\r\n0\r\n\r\n')),
  },
  {
    id: 'plain-trailer',
    says: 'a chunked body with a trailer field',
    source: 'RFC 9112 section 7.1.2',
    ...echoed('seven'),
    send: one((to) => chunked(to, '5\r\nseven\r\n0\r\nX-Digest: 1\r\n\r\n')),
  },
  {
    id: 'plain-close',
    says: 'a GET with Connection: close',
    source: 'RFC 9112 section 9.6',
    level: 'must',
    right: 'a success, then closed',
    judge: served((_, seen) =>
      seen[1]?.end === 'closed' && seen[1].answers.length === 0 ? 'right' : 'wrong',
    ),
    send: (to) => [{ bytes: request(to, 'GET', ['Connection: close']) }, { bytes: request(to, 'GET') }],
  },
  {
    id: 'plain-http10-close',
    says: 'a GET of HTTP/1.0, which asks for no connection that stays',
    source: 'RFC 9112 section 9.3',
    level: 'should',
    right: 'a success, then closed',
    judge: served((_, seen) =>
      seen[1]?.end === 'closed' && seen[1].answers.length === 0 ? 'right' : 'tolerated',
    ),
    send: (to) => [{ bytes: withLine(to, `GET ${to.path} HTTP/1.0`) }, { bytes: request(to, 'GET') }],
  },
  {
    id: 'plain-http10-expect',
    says: 'Expect: 100-continue in HTTP/1.0, which knows no 100',
    source: 'RFC 9110 section 15.2',
    level: 'must',
    right: 'no informational answer',
    judge: ([seen]) => (seen === undefined || seen.interim.length > 0 ? 'wrong' : 'right'),
    send: one((to) =>
      withLine(to, `POST ${to.path} HTTP/1.0`, ['Expect: 100-continue', 'Content-Length: 5'], 'seven'),
    ),
  },
  {
    id: 'plain-date',
    says: 'a GET, whose answer has a Date',
    source: 'RFC 9110 section 6.6.1',
    level: 'must',
    right: 'a success with a Date field',
    judge: served((answer) => (answer.fields.has('date') ? 'right' : 'wrong')),
    send: one((to) => request(to, 'GET')),
  },
  {
    id: 'plain-type',
    says: 'a GET, whose answer says what it is',
    source: 'RFC 9110 section 8.3',
    level: 'should',
    right: 'a success with a Content-Type field',
    judge: withField('content-type'),
    send: one((to) => request(to, 'GET')),
  },
  {
    id: 'plain-options',
    says: 'OPTIONS, whose answer says what is allowed',
    source: 'RFC 9110 section 9.3.7',
    level: 'should',
    right: 'a success with an Allow field, or 405',
    judge: (seen) => (first(seen[0])?.status === 405 ? 'right' : withField('allow')(seen)),
    send: one((to) => request(to, 'OPTIONS')),
  },
  {
    id: 'plain-no-content',
    says: 'OPTIONS; an answer of 204 has no length',
    source: 'RFC 9110 section 8.6',
    level: 'must',
    right: '204 without Content-Length, or 405',
    judge: (seen) => {
      const answer = first(seen[0])
      if (answer?.status === 405) return 'right'
      if (answer?.status === 204) return answer.fields.has('content-length') ? 'wrong' : 'right'
      return answer === undefined ? 'wrong' : 'tolerated'
    },
    send: one((to) => request(to, 'OPTIONS')),
  },
  {
    id: 'plain-not-allowed',
    says: 'DELETE; an answer of 405 says what is allowed',
    source: 'RFC 9110 section 15.5.6',
    level: 'must',
    right: '405 with an Allow field',
    judge: (seen) => {
      const answer = first(seen[0])
      if (answer?.status === 405) return answer.fields.has('allow') ? 'right' : 'wrong'
      return answer === undefined ? 'wrong' : 'tolerated'
    },
    send: one((to) => request(to, 'DELETE')),
  },
]
