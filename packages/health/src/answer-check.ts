import { longestMatched } from '@sluice/options'
import { type Declaration, readDeclaration } from './declaration.js'
import type { ProbeSettings, StatusRange } from './health-options.js'

/** So much of a body is looked at: health pages are short, and whatever answers must not fill the memory. */
const bodyLimit = 16 * 1024

/**
 * Whether an answer is the one that a probe asks for: head first, then as much of the body as it takes to tell.
 */
export class AnswerCheck {
  private readonly chunks: Buffer[] = []
  private size = 0

  constructor(private readonly settings: ProbeSettings) {}

  /**
   * Takes the head; true if the body has to be seen too.
   * @param declared the value of the field in which a target says how it is
   * @throws Error for a status that is none of those asked for
   */
  head(
    status: number,
    declared: string | string[] | undefined,
    declare?: (said: Declaration) => void,
  ): boolean {
    const { path, method, status: wanted, body } = this.settings
    const said = readDeclaration(Array.isArray(declared) ? declared[0] : declared)
    if (said !== undefined) declare?.(said)
    if (!wanted.some((range) => holds(range, status))) throw new Error(`${method} ${path} answered ${status}`)
    return body !== undefined
  }

  /** Takes a piece of the body; true when nothing more has to be seen. */
  take(chunk: Buffer): boolean {
    const rest = Math.max(bodyLimit - this.size, 0)
    this.chunks.push(chunk.subarray(0, rest))
    this.size += chunk.length
    return this.size >= bodyLimit
  }

  /** @throws Error for a body that isn't as asked for */
  end(): void {
    const { path, method, body } = this.settings
    const seen = Buffer.concat(this.chunks).toString('utf8')
    // A copy: with the flags g and y it would begin where it has ended the last time.
    const fits =
      body instanceof RegExp
        ? new RegExp(body.source, body.flags.replace(/[gy]/g, '')).test(seen.slice(0, longestMatched))
        : seen.includes(body ?? '')
    if (!fits) throw new Error(`${method} ${path} answered without ${shown(body)}`)
  }
}

function shown(body: string | RegExp | undefined): string {
  return body instanceof RegExp ? String(body) : JSON.stringify(body)
}

function holds(range: StatusRange, status: number): boolean {
  if (typeof range === 'number') return range === status
  const [from, to] = range.split('-').map(Number)
  return status >= (from as number) && status <= (to as number)
}
