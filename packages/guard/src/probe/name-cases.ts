import { type ProbeCase, request } from './probe-case.js'
import { first, isSuccess } from './verdicts.js'

/**
 * A name that becomes another's once somebody tidies it. An app that shows the fields it got, a line each as `name:
 * value`, tells what came of it; one that doesn't is taken to have got nothing.
 */
function tidied(name: string, proper: string, value: string): ProbeCase['judge'] {
  const shown = (text: string, as: string): boolean =>
    text
      .split(/\r?\n/)
      .some((line) => line.toLowerCase().replace(/\s+$/, '') === `${as.toLowerCase()}: ${value}`)
  return ([seen]) => {
    const answer = first(seen)
    if (answer === undefined) return seen?.end === 'closed' ? 'right' : 'wrong'
    if (answer.status >= 400) return 'right'
    if (!isSuccess(answer)) return 'wrong'
    if (shown(answer.body, proper)) return 'wrong'
    return shown(answer.body, name) ? 'tolerated' : 'right'
  }
}

/** A field that is nearly one of framing, and a word to an app that shows its fields to those who ask. */
const named = (fields: readonly string[], body: string): ProbeCase['send'] => {
  return (to) => [{ bytes: request(to, 'POST', ['X-Probe: show the fields', ...fields], body) }]
}

/** Names that are nearly those of framing. */
export const nameCases: readonly ProbeCase[] = [
  {
    id: 'name-length-underscore',
    says: 'Content_Length next to Content-Length',
    source: 'RFC 3875 section 4.1.18',
    level: 'none',
    right: 'refused, or not handed on',
    judge: tidied('Content_Length', 'Content-Length', '99'),
    send: named(['Content-Length: 5', 'Content_Length: 99'], 'seven'),
  },
  {
    id: 'name-coding-underscore',
    says: 'Transfer_Encoding, and a body',
    source: 'RFC 3875 section 4.1.18',
    level: 'none',
    right: 'refused, or not handed on',
    judge: tidied('Transfer_Encoding', 'Transfer-Encoding', 'chunked'),
    send: named(['Transfer_Encoding: chunked'], '5\r\nseven\r\n0\r\n\r\n'),
  },
  {
    id: 'name-length-space',
    says: 'a second Content-Length with a space before its colon',
    source: 'RFC 9112 section 5.1',
    level: 'must',
    right: 'refused, or not handed on',
    judge: tidied('Content-Length ', 'Content-Length', '3'),
    send: named(['Content-Length: 5', 'Content-Length : 3'], 'seven'),
  },
  {
    id: 'name-length-tab',
    says: 'Content, a tab, and Length',
    source: 'RFC 9110 section 5.1',
    level: 'must',
    right: 'refused, or not handed on',
    judge: tidied('Content\tLength', 'Content-Length', '99'),
    send: named(['Content-Length: 5', 'Content\tLength: 99'], 'seven'),
  },
]
