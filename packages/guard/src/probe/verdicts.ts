import type { ProbeVerdict, Seen } from './probe-case.js'
import type { ProbeAnswer } from './read-answers.js'

type Judge = (seen: readonly Seen[]) => ProbeVerdict

/** What a server may do with a request that is wrong. */
export interface Refusal {
  /** Which statuses refuse it. Default: 400. */
  readonly statuses?: readonly number[]
  /** What a connection closed without an answer is. Default: `right`. */
  readonly closed?: ProbeVerdict
  /** What no answer at all, until the deadline, is. Default: `wrong`. */
  readonly silent?: ProbeVerdict
  /** What a success is. Default: `wrong`. */
  readonly served?: ProbeVerdict
}

/**
 * The request has to be refused. An app may answer before it has read the body that is wrong: that is `tolerated`, if the
 * connection then ends without another success.
 */
export function refused(by: Refusal = {}): Judge {
  const { statuses = [400], closed = 'right', silent = 'wrong', served = 'wrong' } = by
  return (seen) => {
    const [answer, ...rest] = seen.flatMap(({ answers }) => answers)
    if (answer === undefined) return seen[0]?.end === 'closed' ? closed : silent
    if (statuses.includes(answer.status)) return 'right'
    if (!isSuccess(answer)) return 'wrong'
    const noticed = seen.length > 1 ? seen.at(-1)?.end === 'closed' : rest.length > 0
    return noticed && !rest.some(isSuccess) ? 'tolerated' : served
  }
}

/**
 * What stands behind the request must not become a request of its own: it is refused, or at least nothing else on that
 * connection is answered. The last step of such a case is a plain request, which shows whether the connection lives on.
 */
export function endsConnection(statuses: readonly number[] = [400]): Judge {
  return (seen) => {
    const answers = seen.flatMap((each) => each.answers)
    const [answer] = answers
    if (answers.length > 1) return 'wrong'
    if (answer === undefined || statuses.includes(answer.status)) {
      return seen.at(-1)?.end === 'closed' ? 'right' : 'wrong'
    }
    return isSuccess(answer) && seen.at(-1)?.end === 'closed' ? 'tolerated' : 'wrong'
  }
}

/**
 * The body is read, or the request refused, or the connection ended: nothing of the body is taken for a request. The last step of
 * such a case asks the server to close.
 */
export function swallowed(): Judge {
  return (seen) => {
    const answers = seen.flatMap((each) => each.answers)
    if (answers.length > seen.length) return 'wrong'
    return seen.at(-1)?.end === 'closed' ? 'right' : 'wrong'
  }
}

/** Statuses by which a server says that a good request is a bad one, or that it couldn't take it. */
const misread = new Set([400, 408, 411, 413, 414, 417, 426, 431, 500, 501, 502, 503, 504, 505])

/**
 * The request is a good one: a success, or another answer of the app's own, such as a 404, is `tolerated`.
 * @param also what else the answer has to be
 */
export function served(
  also: (answer: ProbeAnswer, seen: readonly Seen[]) => ProbeVerdict = () => 'right',
): Judge {
  return (seen) => {
    const answer = first(seen[0])
    if (answer === undefined || misread.has(answer.status)) return 'wrong'
    return isSuccess(answer) ? also(answer, seen) : 'tolerated'
  }
}

/** The answer that came first, if any. */
export function first(seen: Seen | undefined): ProbeAnswer | undefined {
  return seen?.answers[0]
}

/** Whether it is a 2xx. */
export function isSuccess(answer: ProbeAnswer): boolean {
  return answer.status >= 200 && answer.status < 300
}
