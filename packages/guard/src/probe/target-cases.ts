import { type ProbeCase, type ProbeTarget, request, withLine } from './probe-case.js'
import { refused, served } from './verdicts.js'

const one = (bytes: (to: ProbeTarget) => string) => (to: ProbeTarget) => [{ bytes: bytes(to) }]
/** A request for the probed path with something behind it. */
const behind = (suffix: string) => one((to) => withLine(to, `GET ${to.path}${suffix} HTTP/1.1`))
const strict = { right: '400', judge: refused({ closed: 'wrong' }) } as const
const hard = { right: '400 or closed', judge: refused() } as const
/** What apps answer with their own 404 is no more than tolerated, as it got to them. */
const path = {
  right: '400 or closed',
  judge: (seen) => {
    const status = seen[0]?.answers[0]?.status ?? 0
    const verdict = refused({ served: 'tolerated' })(seen)
    return verdict === 'wrong' && status >= 300 && status < 500 ? 'tolerated' : verdict
  },
} as const satisfies Pick<ProbeCase, 'right' | 'judge'>

/** What is asked for, and of whom: the request's target and its Host field. */
export const targetCases: readonly ProbeCase[] = [
  {
    id: 'target-fragment',
    says: 'a target with a fragment',
    source: 'RFC 9112 section 3.2',
    level: 'should',
    ...path,
    send: behind('x#part'),
  },
  {
    id: 'target-space',
    says: 'a target with a space in it',
    source: 'RFC 9112 section 3.2',
    level: 'must',
    right: '400',
    judge: refused({ closed: 'tolerated', silent: 'tolerated' }),
    send: behind('a b'),
  },
  {
    id: 'target-asterisk',
    says: 'GET with the target *',
    source: 'RFC 9112 section 3.2.4',
    level: 'must',
    right: '400',
    judge: refused({ closed: 'tolerated', silent: 'tolerated' }),
    send: one((to) => withLine(to, 'GET * HTTP/1.1')),
  },
  {
    id: 'target-nul',
    says: 'a NUL in the path',
    source: 'RFC 3986 section 3.3',
    level: 'must',
    ...hard,
    send: behind('\0x'),
  },
  {
    id: 'target-utf8',
    says: 'two bytes of UTF-8 in the path, not percent-encoded',
    source: 'RFC 3986 section 2',
    level: 'must',
    ...hard,
    send: behind('pur\xc3\xa9e'),
  },
  {
    id: 'target-overlong-slash',
    says: 'C0 AF in the path, an overlong UTF-8 slash',
    source: 'RFC 3629 section 3',
    level: 'must',
    ...hard,
    send: behind('\xc0\xaf'),
  },
  {
    id: 'target-backslash',
    says: 'a backslash in the path, which some take for a slash',
    source: 'RFC 3986 section 3.3',
    level: 'should',
    ...path,
    send: behind('up\\down'),
  },
  {
    id: 'target-encoded-nul',
    says: '%00 in the path, which ends a string for some',
    source: 'RFC 3986 section 7.3',
    level: 'none',
    ...path,
    send: behind('image%00.png'),
  },
  {
    id: 'target-encoded-lines',
    says: '%0d%0a in the path, which becomes a line of a head for some',
    source: 'RFC 3986 section 7.3',
    level: 'none',
    ...path,
    send: behind('x%0d%0aX-Planted:%20yes'),
  },
  {
    id: 'target-absolute-elsewhere',
    says: 'an absolute target at odds with the Host field',
    source: 'RFC 9112 section 3.2.2',
    level: 'none',
    right: '400 or closed',
    judge: refused({ statuses: [400, 421], served: 'tolerated' }),
    send: one((to) => withLine(to, `GET http://elsewhere.example${to.path} HTTP/1.1`)),
  },
  {
    id: 'host-missing',
    says: 'no Host field',
    source: 'RFC 9112 section 3.2',
    level: 'must',
    ...strict,
    send: one((to) => `GET ${to.path} HTTP/1.1\r\n\r\n`),
  },
  {
    id: 'host-empty',
    says: 'an empty Host field',
    source: 'RFC 9112 section 3.2',
    level: 'must',
    ...hard,
    send: one((to) => `GET ${to.path} HTTP/1.1\r\nHost: \r\n\r\n`),
  },
  {
    id: 'host-twice',
    says: 'two Host fields that differ',
    source: 'RFC 9112 section 3.2',
    level: 'must',
    ...strict,
    send: one((to) => request(to, 'GET', ['Host: elsewhere.example'])),
  },
  {
    id: 'host-twice-same',
    says: 'the same Host field twice',
    source: 'RFC 9112 section 3.2',
    level: 'must',
    ...strict,
    send: one((to) => request(to, 'GET', [`Host: ${to.host}`])),
  },
  {
    id: 'host-list',
    says: 'a Host field that is a list',
    source: 'RFC 9110 section 7.2',
    level: 'must',
    ...hard,
    send: one((to) => `GET ${to.path} HTTP/1.1\r\nHost: ${to.host}, elsewhere.example\r\n\r\n`),
  },
  {
    id: 'host-userinfo',
    says: 'a Host field with a user before the name',
    source: 'RFC 9110 section 7.2',
    level: 'must',
    ...hard,
    send: one((to) => `GET ${to.path} HTTP/1.1\r\nHost: someone@${to.host}\r\n\r\n`),
  },
  {
    id: 'host-path',
    says: 'a Host field with a path behind the name',
    source: 'RFC 9110 section 7.2',
    level: 'must',
    ...hard,
    send: one((to) => `GET ${to.path} HTTP/1.1\r\nHost: ${to.host}/there\r\n\r\n`),
  },
  {
    id: 'target-asterisk-options',
    says: 'OPTIONS with the target *, which is a good request',
    source: 'RFC 9112 section 3.2.4',
    level: 'must',
    right: 'a success or 405',
    judge: (seen) => (seen[0]?.answers[0]?.status === 405 ? 'right' : served()(seen)),
    send: one((to) => withLine(to, 'OPTIONS * HTTP/1.1')),
  },
]
