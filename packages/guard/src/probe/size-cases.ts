import { type ProbeCase, type ProbeTarget, request, withLine } from './probe-case.js'
import { first, refused } from './verdicts.js'

const one = (bytes: (to: ProbeTarget) => string, finish = false) => {
  return (to: ProbeTarget) => [{ bytes: bytes(to), ...(finish && { finish }) }]
}
const large = 100_000
const head = { right: '400, 431 or closed', judge: refused({ statuses: [400, 431] }) } as const
const unheard = {
  level: 'none',
  right: '400, 408, closed, or no answer',
  judge: refused({ statuses: [400, 408], silent: 'right' }),
} as const

/** Too much of something, or too little. */
export const sizeCases: readonly ProbeCase[] = [
  {
    id: 'size-target',
    says: 'a target of 100,000 bytes',
    source: 'RFC 9112 section 3',
    level: 'should',
    right: '400, 414, 431 or closed',
    judge: refused({ statuses: [400, 414, 431] }),
    send: one((to) => withLine(to, `GET ${to.path}${'t'.repeat(large)} HTTP/1.1`)),
  },
  {
    id: 'size-target-usual',
    says: 'a target of just under 8,000 bytes, which is a good request',
    source: 'RFC 9112 section 3',
    level: 'should',
    right: 'anything but 414',
    judge: ([seen]) => {
      const answer = first(seen)
      if (answer === undefined) return 'tolerated'
      return answer.status === 414 || answer.status === 431 ? 'wrong' : 'right'
    },
    send: one((to) => withLine(to, `GET ${to.path}${'t'.repeat(7_900)} HTTP/1.1`)),
  },
  {
    id: 'size-method',
    says: 'a method of 100,000 bytes',
    source: 'RFC 9112 section 3',
    level: 'should',
    right: '400 or closed',
    judge: refused(),
    send: one((to) => request(to, 'M'.repeat(large))),
  },
  {
    id: 'size-name',
    says: 'a field name of 100,000 bytes',
    source: 'RFC 9110 section 5.4',
    level: 'should',
    ...head,
    send: one((to) => request(to, 'GET', [`${'N'.repeat(large)}: 1`])),
  },
  {
    id: 'size-value',
    says: 'a field value of 100,000 bytes',
    source: 'RFC 9110 section 5.4',
    level: 'should',
    ...head,
    send: one((to) => request(to, 'GET', [`X-Probe: ${'v'.repeat(large)}`])),
  },
  {
    id: 'size-fields',
    says: '10,000 fields',
    source: 'RFC 6585 section 5',
    level: 'none',
    ...head,
    send: one((to) =>
      request(
        to,
        'GET',
        Array.from({ length: 10_000 }, (_, n) => `X-Probe-${n}: 1`),
      ),
    ),
  },
  {
    id: 'size-head-cut',
    says: 'a head that breaks off within a field',
    source: 'RFC 9112 section 8',
    ...unheard,
    send: one((to) => `GET ${to.path} HTTP/1.1\r\nHost: ${to.host}\r\nX-Probe: 1`, true),
  },
  {
    id: 'size-nothing',
    says: 'no byte at all',
    source: 'RFC 9112 section 8',
    ...unheard,
    send: one(() => '', true),
  },
]
