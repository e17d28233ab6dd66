import { type ProbeCase, type ProbeTarget, request, withLine } from './probe-case.js'
import { first, isSuccess } from './verdicts.js'

const one = (bytes: (to: ProbeTarget) => string) => (to: ProbeTarget) => [{ bytes: bytes(to) }]
const offer = (version: string): readonly string[] => [
  'Upgrade: websocket',
  'Sec-WebSocket-Key: c2x1aWNlIHByb2JlIGtleQ==',
  `Sec-WebSocket-Version: ${version}`,
]
const switching = 'Connection: Upgrade'
const stays = {
  level: 'must',
  right: 'anything but 101',
  judge: ([seen]) => {
    const answer = first(seen)
    if (answer === undefined) return seen?.end === 'closed' ? 'right' : 'wrong'
    return answer.status === 101 ? 'wrong' : 'right'
  },
} as const satisfies Pick<ProbeCase, 'level' | 'right' | 'judge'>

/** Offers to switch to another protocol that must not be taken up. */
export const upgradeCases: readonly ProbeCase[] = [
  {
    id: 'upgrade-post',
    says: 'a WebSocket handshake that is a POST',
    source: 'RFC 6455 section 4.1',
    ...stays,
    send: one((to) => request(to, 'POST', [switching, ...offer('13')])),
  },
  {
    id: 'upgrade-no-connection',
    says: 'an Upgrade field that Connection does not name',
    source: 'RFC 9110 section 7.8',
    ...stays,
    send: one((to) => request(to, 'GET', offer('13'))),
  },
  {
    id: 'upgrade-unknown',
    says: 'a protocol that nobody has heard of',
    source: 'RFC 9110 section 7.8',
    ...stays,
    send: one((to) => request(to, 'GET', [switching, 'Upgrade: carrier-pigeon/2'])),
  },
  {
    id: 'upgrade-http10',
    says: 'a WebSocket handshake of HTTP/1.0',
    source: 'RFC 9110 section 7.8',
    ...stays,
    send: one((to) => withLine(to, `GET ${to.path} HTTP/1.0`, [switching, ...offer('13')])),
  },
  {
    id: 'upgrade-version',
    says: 'a WebSocket handshake of version 99',
    source: 'RFC 6455 section 4.4',
    level: 'must',
    right: '426, or another refusal',
    judge: (seen) => {
      const answer = first(seen[0])
      return answer !== undefined && isSuccess(answer) ? 'tolerated' : stays.judge(seen)
    },
    send: one((to) => request(to, 'GET', [switching, ...offer('99')])),
  },
]
