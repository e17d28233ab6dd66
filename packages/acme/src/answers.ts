import { parse, type v } from '@sluice/options'
import { AcmeError, type AcmePhase } from './acme-error.js'
import type { AcmeAnswer } from './acme-http.js'
import { AcmeProblem, readProblem } from './acme-problem.js'

/**
 * What an answer holds, by a schema.
 * @throws AcmeProblem for the server's no
 * @throws AcmeError for an answer that is none of RFC 8555
 */
export function read<S extends v.GenericSchema>(
  phase: AcmePhase,
  answer: AcmeAnswer,
  schema: S,
): v.InferOutput<S> {
  refuseFailed(phase, answer)
  const json = jsonOf(answer)
  if (json === undefined) throw malformed(phase, answer, `no JSON: ${answer.text.slice(0, 80)}`)
  try {
    return parse(schema, json, 'answer')
  } catch (error) {
    throw malformed(phase, answer, (error as Error).message)
  }
}

/** @throws AcmeProblem, or AcmeError where an answer with an error status has no problem document */
export function refuseFailed(phase: AcmePhase, answer: AcmeAnswer): void {
  const { status, url, retryAfterMs } = answer
  if (status < 400) return
  const problem = readProblem(jsonOf(answer))
  if (problem !== undefined) throw new AcmeProblem(problem, { phase, url, status, retryAfterMs })
  const what = `it answered ${status}: ${answer.text.slice(0, 200)}`
  throw new AcmeError({ code: codeOf(status), phase, url, what, retryAfterMs })
}

/** What an error status without a reason is. That of a gateway whose server is down, say, decides nothing. */
export function codeOf(status: number): 'refused' | 'unavailable' {
  return status >= 500 || status === 429 ? 'unavailable' : 'refused'
}

/** The server's reason in an order or a challenge that is invalid. */
export function problemIn(phase: AcmePhase, url: string, error: unknown, status: string): AcmeError {
  const problem = readProblem(error)
  if (problem !== undefined) return new AcmeProblem(problem, { phase, url, status: 0 })
  return new AcmeError({ code: 'refused', phase, url, what: `it is ${status}, and no reason is given` })
}

/** What an answer that is none of RFC 8555 is thrown as. */
export function malformed(phase: AcmePhase, { url }: AcmeAnswer, what: string): AcmeError {
  return new AcmeError({ code: 'malformed', phase, url, what })
}

/** Where what was made stands. */
export function locationOf(phase: AcmePhase, answer: AcmeAnswer): string {
  const location = answer.field('location')
  // It may be relative (RFC 9110 section 10.2.2).
  if (location !== undefined && URL.canParse(location, answer.url)) return new URL(location, answer.url).href
  throw malformed(phase, answer, 'it has no Location')
}

function jsonOf({ text }: AcmeAnswer): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
