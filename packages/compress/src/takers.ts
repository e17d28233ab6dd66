import { turnTime } from '@sluice/core'
import debug from 'debug'
import type { Coding } from './coding.js'
import { Negotiation } from './negotiate.js'

const log = debug('sluice:compress')

/** Milliseconds for which a target that has refused the coding gets none, at first and at most. */
const firstPause = 60_000
const longestPause = 3_600_000

interface Known {
  /** It has said last that it takes the coding. */
  says: boolean
  /** Until when it gets none, whatever it says. */
  until: number
  pause: number
}

/**
 * Which targets take request bodies in a coding.
 *
 *              Accept-Encoding names it                    refused
 *   not known ──────────────────────────▶ takes it ──────────────────────▶ refuses
 *             ◀──────────────────────────                 (told: at once)      │
 *              Accept-Encoding without it                                      │
 *       ▲                                                                      │
 *       └──────── a minute later; twice as long each time, an hour at most ────┘
 *
 * A target says so in `Accept-Encoding` of any response (RFC 9110 section 12.5.3). The RFC means the same resource; that the rest of
 * the target takes it too is a guess, which a refusal puts right. What is refused counts more than what is said, so that one that says what it doesn't
 * do costs a request a minute at first and one an hour in the end. Where the user has told that all take it, nothing need be learnt, and
 * "not known" is "takes it". It holds no target: what is known of one goes with it.
 */
export class Takers {
  private readonly known = new WeakMap<object, Known>()
  private readonly negotiation: Negotiation

  /**
   * @param told all take it, as far as they don't refuse it
   * @param clock monotonic milliseconds
   */
  constructor(
    private readonly coding: Coding,
    private readonly told: boolean,
    private readonly clock: () => number = turnTime,
  ) {
    this.negotiation = new Negotiation([coding])
  }

  /** Whether a target gets coded bodies now. */
  takes(target: object): boolean {
    const known = this.known.get(target)
    if (known === undefined) return this.told
    return (this.told || known.says) && (known.until === 0 || this.clock() >= known.until)
  }

  /** A target has said in a response what it takes; `undefined`: it has said nothing, so nothing changes. */
  heard(target: object, acceptEncoding: string | undefined): void {
    if (acceptEncoding === undefined || this.told) return
    const says = this.negotiation.choose(acceptEncoding) === this.coding
    const known = this.known.get(target)
    if (known !== undefined) known.says = says
    else if (says) this.known.set(target, { says, until: 0, pause: 0 })
  }

  /** A target has refused a body for its coding. */
  refused(target: object): void {
    let known = this.known.get(target)
    if (known === undefined) {
      known = { says: false, until: 0, pause: 0 }
      this.known.set(target, known)
    }
    known.pause = Math.min(longestPause, Math.max(firstPause, known.pause * 2))
    known.until = this.clock() + known.pause
    if (log.enabled) log('a target refuses %s: it gets none for %d s', this.coding, known.pause / 1000)
  }
}
