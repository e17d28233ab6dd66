import { type ProbeCase, type ProbeTarget, request } from './probe-case.js'
import { refused } from './verdicts.js'

const one = (bytes: (to: ProbeTarget) => string) => (to: ProbeTarget) => [{ bytes: bytes(to) }]
const field = (line: string) => one((to) => request(to, 'GET', [line]))
const strict = { right: '400', judge: refused({ closed: 'wrong' }) } as const
const hard = { right: '400 or closed', judge: refused() } as const
const soft = { right: '400 or closed', judge: refused({ served: 'tolerated' }) } as const

/** Lines of the head: their names, colons, values and folds. */
export const fieldCases: readonly ProbeCase[] = [
  {
    id: 'field-bare-lf',
    says: 'a field line that ends with LF alone',
    source: 'RFC 9112 section 2.2',
    level: 'may',
    ...soft,
    send: one((to) => `GET ${to.path} HTTP/1.1\r\nHost: ${to.host}\nX-Probe: 1\r\n\r\n`),
  },
  {
    id: 'field-folded',
    says: 'a field value over two lines',
    source: 'RFC 9112 section 5.2',
    level: 'must',
    ...strict,
    send: field('X-Probe: one\r\n two'),
  },
  {
    id: 'field-space-before-colon',
    says: 'a space between a name and its colon',
    source: 'RFC 9112 section 5.1',
    level: 'must',
    ...strict,
    send: field('X-Probe : 1'),
  },
  {
    id: 'field-blank-line-first',
    says: 'a line of one space between the request line and the fields',
    source: 'RFC 9112 section 2.2',
    level: 'must',
    ...hard,
    send: one((to) => `GET ${to.path} HTTP/1.1\r\n \r\nHost: ${to.host}\r\n\r\n`),
  },
  {
    id: 'field-no-name',
    says: 'a field without a name',
    source: 'RFC 9112 section 5',
    level: 'must',
    ...hard,
    send: field(': 1'),
  },
  {
    id: 'field-no-colon',
    says: 'a field without a colon',
    source: 'RFC 9112 section 5',
    level: 'must',
    ...hard,
    send: field('X-Probe'),
  },
  {
    id: 'field-name-bracket',
    says: 'a bracket in a name',
    source: 'RFC 9110 section 5.1',
    level: 'must',
    ...hard,
    send: field('X[Probe: 1'),
  },
  {
    id: 'field-name-utf8',
    says: 'two bytes of UTF-8 in a name',
    source: 'RFC 9110 section 5.1',
    level: 'must',
    ...hard,
    send: field('X-Prob\xc3\xa9: 1'),
  },
  {
    id: 'field-value-nul',
    says: 'a NUL in a value',
    source: 'RFC 9110 section 5.5',
    level: 'must',
    ...hard,
    send: field('X-Probe: a\0b'),
  },
  {
    id: 'field-value-control',
    says: 'control bytes in a value',
    source: 'RFC 9110 section 5.5',
    level: 'must',
    ...hard,
    send: field('X-Probe: a\x07\x08\x0bb'),
  },
  {
    id: 'field-value-cr',
    says: 'a CR alone in a value',
    source: 'RFC 9112 section 2.2',
    level: 'must',
    ...hard,
    send: one((to) => request(to, 'POST', ['Content-Length: 5', 'X-Probe: a\rb'], 'seven')),
  },
  {
    id: 'field-type-twice',
    says: 'two Content-Type fields that differ',
    source: 'RFC 9110 section 5.3',
    level: 'should',
    ...soft,
    send: one((to) =>
      request(
        to,
        'POST',
        ['Content-Length: 5', 'Content-Type: text/plain', 'Content-Type: text/csv'],
        'seven',
      ),
    ),
  },
  {
    id: 'field-expect-unknown',
    says: 'an Expect field that asks for what nobody knows',
    source: 'RFC 9110 section 10.1.1',
    level: 'may',
    right: '417 or closed',
    judge: refused({ statuses: [417], served: 'tolerated' }),
    send: field('Expect: a-miracle'),
  },
]
