import { createTarget, type TargetInit } from '@sluice/upstream'
import debug from 'debug'

const log = debug('sluice:discovery')

/** Kinds of failures that are told while it doesn't work. */
const mostKinds = 10

/** What becomes of an empty set from a source. */
export type EmptyPolicy = 'keep' | 'apply'

/**
 * The near end of every source: what it delivers, and what it says when it can't.
 *
 * deliver: the same set as last ──▶ nothing
 *          empty, 'keep'        ──▶ nothing, told once until a set comes
 *          else                 ──▶ to the listener
 * fail:    each kind told once until it works again, or each message once in a row; the last set stays
 */
export class Feed {
  private last: string | undefined = undefined
  private emptyTold = false
  private readonly told = new Set<unknown>()
  private unfit: string | undefined = undefined
  private closed = false

  /** @param each failures that say something else than the last one are told, whatever their kind */
  constructor(
    private readonly source: string,
    private readonly empty: EmptyPolicy,
    private readonly listener: (targets: TargetInit[]) => void,
    private readonly each = false,
  ) {}

  /** No word to anybody from here on. */
  close(): void {
    this.closed = true
  }

  /**
   * Takes a set as it is, in its order: who has made it has looked at it.
   * @param text what it is known again by
   */
  deliver(targets: TargetInit[], text = JSON.stringify(targets)): void {
    if (this.closed) return
    if (targets.length === 0) {
      if (!this.emptyTold) this.warn(`no targets${this.empty === 'keep' ? ', the last ones stay' : ''}`)
      this.emptyTold = true
      if (this.empty === 'keep') return
    } else this.emptyTold = false
    if (text === this.last) return
    this.last = text
    if (log.enabled) log('%s: %d targets', this.source, targets.length)
    try {
      this.listener(targets)
    } catch (error) {
      this.warn(messageOf(error))
    }
  }

  /**
   * Takes a set from a registry: in one order, each URL once, and without those that an upstream would refuse, since one wrong
   * entry must not keep all others from coming through.
   * @param unfit what was left out already, and why
   */
  deliverFit(targets: readonly FoundTarget[], unfit: readonly string[] = []): void {
    if (this.closed) return
    const faults = [...unfit]
    const fit = merged(targets).filter((target) => {
      try {
        // TLS settings are those of the options, which were looked at once and cost much to read.
        const { tls: _tls, ...rest } = target
        createTarget(rest, target.url)
        return true
      } catch (error) {
        faults.push(messageOf(error))
        return false
      }
    })
    this.leaveOut(faults)
    // Of TLS settings the server name alone comes from the registry; the rest holds keys, and is long.
    const known = fit.map(({ tls, ...rest }) => ({ ...rest, servername: tls?.servername }))
    this.deliver(fit, JSON.stringify(known))
  }

  /** Tells of entries that can't be used, once for each set of them. */
  private leaveOut(faults: readonly string[]): void {
    const text = faults.join('; ')
    if (text !== '' && text !== this.unfit) this.warn(`left out: ${text}`)
    this.unfit = text
  }

  /** Notes that the source has failed. */
  fail(error: unknown): void {
    if (this.closed) return
    const message = messageOf(error)
    const kind = this.each ? message : kindOf(error, message)
    if (this.told.has(kind) || (!this.each && this.told.size >= mostKinds)) return this.note(message)
    if (this.each) this.told.clear()
    this.told.add(kind)
    this.warn(this.last === undefined ? message : `${message}; the last targets stay`)
  }

  /** Notes that it works. */
  works(): void {
    if (this.told.size > 0 && !this.closed && log.enabled) log('%s: works again', this.source)
    this.told.clear()
  }

  /** A word that is of no consequence to targets. */
  note(text: string): void {
    if (!this.closed && log.enabled) log('%s: %s', this.source, text)
  }

  private warn(text: string): void {
    if (log.enabled) log('%s: %s', this.source, text)
    process.emitWarning(`discovery ${this.source}: ${text}`, 'SluiceWarning')
  }
}

/** A target from a registry. */
export interface FoundTarget {
  url: string
  weight: number
  priority: number
  zone?: string
  tls?: Exclude<TargetInit, string>['tls'] & object
}

/** By URL. Where one is there twice the better priority holds, and of the same priority the weights add up. */
function merged(targets: readonly FoundTarget[]): FoundTarget[] {
  const byUrl = new Map<string, FoundTarget>()
  for (const target of targets) {
    const other = byUrl.get(target.url)
    if (other === undefined || target.priority < other.priority) byUrl.set(target.url, { ...target })
    else if (target.priority === other.priority) other.weight += target.weight
  }
  return [...byUrl.values()].sort((a, b) => (a.url < b.url ? -1 : 1))
}

/** By its status or its code, where it has one: what it says may have a number that is another each time. */
function kindOf(error: unknown, message: string): unknown {
  const { code, status } = (error instanceof Error ? error : {}) as { code?: unknown; status?: unknown }
  return status ?? code ?? message
}

/** What an error says, whatever was thrown: it may be nothing that has a text. */
export function messageOf(error: unknown): string {
  try {
    return error instanceof Error ? `${error.message}` : String(error)
  } catch {
    return 'an error that can not be shown'
  }
}
