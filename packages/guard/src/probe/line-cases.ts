import { type ProbeCase, type ProbeTarget, request, withLine } from './probe-case.js'
import { refused } from './verdicts.js'

const one = (bytes: (to: ProbeTarget) => string, finish = false) => {
  return (to: ProbeTarget) => [{ bytes: bytes(to), ...(finish && { finish }) }]
}
const strict = { right: '400', judge: refused({ closed: 'wrong' }) } as const
const hard = { right: '400 or closed', judge: refused() } as const
const answered = { right: '400', judge: refused({ closed: 'tolerated', silent: 'tolerated' }) } as const
const soft = { right: '400 or closed', judge: refused({ served: 'tolerated' }) } as const
const softAnswered = {
  right: '400',
  judge: refused({ served: 'tolerated', closed: 'tolerated', silent: 'tolerated' }),
} as const
const unheard = { right: '400, closed, or no answer', judge: refused({ silent: 'right' }) } as const

/** Lines, and the line of the request: how they end, what parts them, the version. */
export const lineCases: readonly ProbeCase[] = [
  {
    id: 'line-bare-lf',
    says: 'a request line that ends with LF alone',
    source: 'RFC 9112 section 2.2',
    level: 'may',
    ...soft,
    send: one((to) => `GET ${to.path} HTTP/1.1\nHost: ${to.host}\r\n\r\n`),
  },
  {
    id: 'line-bare-cr',
    says: 'a request line that ends with CR alone',
    source: 'RFC 9112 section 2.2',
    level: 'must',
    ...strict,
    send: one((to) => `GET ${to.path} HTTP/1.1\rHost: ${to.host}\r\n\r\n`),
  },
  {
    id: 'line-empty-before',
    says: 'two empty lines before the request line',
    source: 'RFC 9112 section 2.2',
    level: 'should',
    ...softAnswered,
    send: one((to) => `\r\n\r\n${request(to, 'GET')}`),
  },
  {
    id: 'line-blanks-only',
    says: 'a request line of spaces alone',
    source: 'RFC 9112 section 3',
    level: 'none',
    ...unheard,
    send: one(() => '   \r\n\r\n'),
  },
  {
    id: 'line-two-spaces',
    says: 'two spaces between method and target',
    source: 'RFC 9112 section 3',
    level: 'should',
    ...soft,
    send: one((to) => withLine(to, `GET  ${to.path} HTTP/1.1`)),
  },
  {
    id: 'line-tab',
    says: 'a tab between method and target',
    source: 'RFC 9112 section 3',
    level: 'should',
    ...softAnswered,
    send: one((to) => withLine(to, `GET\t${to.path} HTTP/1.1`)),
  },
  {
    id: 'line-no-target',
    says: 'a request line without a target',
    source: 'RFC 9112 section 3',
    level: 'must',
    ...hard,
    send: one((to) => withLine(to, 'GET HTTP/1.1')),
  },
  {
    id: 'line-no-version',
    says: 'a request line without a version, as HTTP/0.9 has it',
    source: 'RFC 9112 section 2.3',
    level: 'should',
    ...unheard,
    send: one((to) => `GET ${to.path}\r\n`, true),
  },
  {
    id: 'version-unknown',
    says: 'HTTP/9.9',
    source: 'RFC 9112 section 2.3',
    level: 'should',
    right: '400, 505 or closed',
    judge: refused({ statuses: [400, 505] }),
    send: one((to) => withLine(to, `GET ${to.path} HTTP/9.9`)),
  },
  {
    id: 'version-no-minor',
    says: 'HTTP/1',
    source: 'RFC 9112 section 2.3',
    level: 'must',
    ...answered,
    send: one((to) => withLine(to, `GET ${to.path} HTTP/1`)),
  },
  {
    id: 'version-zeros',
    says: 'HTTP/01.01',
    source: 'RFC 9112 section 2.3',
    level: 'must',
    ...answered,
    send: one((to) => withLine(to, `GET ${to.path} HTTP/01.01`)),
  },
  {
    id: 'version-space',
    says: 'a space within the version',
    source: 'RFC 9112 section 2.3',
    level: 'must',
    ...answered,
    send: one((to) => withLine(to, `GET ${to.path} HTTP/ 1.1`)),
  },
  {
    id: 'version-lower-case',
    says: 'http/1.1',
    source: 'RFC 9112 section 2.3',
    level: 'must',
    ...answered,
    send: one((to) => withLine(to, `GET ${to.path} http/1.1`)),
  },
  {
    id: 'version-http2-preface',
    says: 'the preface of HTTP/2 on a connection of HTTP/1.1',
    source: 'RFC 9113 section 3.4',
    level: 'none',
    right: '400, 505, closed, or no answer',
    judge: refused({ statuses: [400, 505], silent: 'right' }),
    send: one(() => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  },
  {
    id: 'method-lower-case',
    says: 'the method get',
    source: 'RFC 9110 section 9.1',
    level: 'should',
    right: '400, 405 or 501',
    judge: refused({
      statuses: [400, 405, 501],
      served: 'tolerated',
      closed: 'tolerated',
      silent: 'tolerated',
    }),
    send: one((to) => request(to, 'get')),
  },
  {
    id: 'method-unknown',
    says: 'a method that nobody has heard of',
    source: 'RFC 9110 section 9.1',
    level: 'should',
    right: '400, 405, 501 or closed',
    judge: refused({ statuses: [400, 405, 501], served: 'tolerated' }),
    send: one((to) => request(to, 'WOBBLE')),
  },
  {
    id: 'method-connect',
    says: 'a CONNECT to another server',
    source: 'RFC 9110 section 9.3.6',
    level: 'should',
    right: '400, 405, 501 or closed',
    judge: refused({ statuses: [400, 405, 501] }),
    send: one(() => 'CONNECT tunnel.example:443 HTTP/1.1\r\nHost: tunnel.example:443\r\n\r\n'),
  },
  {
    id: 'noise',
    says: '256 bytes that are no HTTP',
    source: 'RFC 9112 section 3',
    level: 'should',
    ...unheard,
    send: one(() => noise),
  },
]

/** The same noise every time: a step of the linear congruence of Numerical Recipes a byte. */
const noise = (() => {
  let state = 7
  return Array.from({ length: 256 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return String.fromCharCode(state >>> 24)
  }).join('')
})()
