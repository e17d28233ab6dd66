import debug from 'debug'
import { reasonOf } from './reason.js'
import type { RedisClient } from './redis-client.js'
import type { Script } from './script.js'

const log = debug('sluice:redis')

/** Failures in a row after which Redis is left alone for a while. */
const enough = 3
/** Commands on their way that a client may hold: one that never settles them would take ever more of them. */
const mostOnTheirWay = 1_000

/**
 * Asks clients for buffers where they give strings: `typeMapping` is that of node-redis 5 and 6 (36 is '$', the type of a text),
 * `returnBuffers` that of 4.
 */
const asBuffers = { typeMapping: { 36: Buffer }, returnBuffers: true }

/** How a link keeps to its time. */
export interface LinkSettings {
  /** How long a command may take, in ms. */
  readonly timeout: number
  /** How long Redis is left alone after failures in a row, in ms. */
  readonly pause: number
  /** Monotonic ms. */
  readonly clock: () => number
}

/**
 * A client held to a time: a command is answered or fails within it, and where several failed in a row, the next ones fail at once.
 *
 *   open ──3 failures in a row──▶ paused    commands fail at once
 *   paused ──after `pause`──▶ trial         one command is sent, the others still fail at once
 *   trial ──answered──▶ open, ──failed──▶ paused
 *
 * An error that Redis itself answers is no failure here.
 */
export class Link {
  /** Bytes of commands that the client has not settled, those included that were given up. */
  bytes = 0
  closed = false
  private readonly client: RedisClient
  readonly settings: LinkSettings
  private onTheirWay = 0
  private failures = 0
  private pausedUntil = Number.NEGATIVE_INFINITY

  constructor(client: RedisClient, settings: LinkSettings) {
    this.client = client
    this.settings = settings
  }

  /** Whether it is worth while to begin something that needs several commands. */
  get usable(): boolean {
    if (this.closed || this.client.isReady === false) return false
    return this.failures < enough || this.settings.clock() >= this.pausedUntil
  }

  /**
   * What is left of `bound` for one more command. Where that is nothing, though an answer has come, this process was busy, and not Redis slow:
   * it has the whole time again.
   */
  left(until: number, bound: number): number {
    const left = until - this.settings.clock()
    return left > 0 ? left : bound
  }

  /**
   * Sends a command. Rejects with what Redis or the client says, or when `bound` ms are over.
   * @param insist sends it in a pause as well
   */
  send(args: (string | Buffer)[], bound = this.settings.timeout, insist = false): Promise<unknown> {
    const refused = this.refuses(insist)
    if (refused !== undefined) return Promise.reject(new Error(refused))
    let bytes = 0
    for (const arg of args) bytes += arg.length
    this.onTheirWay++
    this.bytes += bytes
    return new Promise((resolve, reject) => {
      let open = true
      const late = (): void => {
        if (!open) return
        open = false
        const error = new Error(`no answer within ${bound} ms`)
        this.failed(error)
        reject(error)
      }
      // An answer that has come while this process was busy is read before the turn ends.
      const timer = setTimeout(setImmediate, bound, late)
      timer.unref()
      const settled = (): boolean => {
        this.onTheirWay--
        this.bytes -= bytes
        clearTimeout(timer)
        const first = open
        open = false
        return first
      }
      this.passOn(args).then(
        (reply) => {
          if (!settled()) return
          this.answered()
          resolve(reply)
        },
        (error: unknown) => {
          if (!settled()) return
          if (isReply(error)) this.answered()
          else this.failed(error)
          reject(error)
        },
      )
    })
  }

  /** Runs a script; Redis is given its text where it doesn't know it yet, within the same time. */
  async run(
    script: Script,
    args: (string | Buffer)[],
    bound = this.settings.timeout,
    insist = false,
  ): Promise<unknown> {
    const until = this.settings.clock() + bound
    try {
      return await this.send(['EVALSHA', script.sha, '0', ...args], bound, insist)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return this.send(['EVAL', script.text, '0', ...args], this.left(until, bound), insist)
    }
  }

  private async passOn(args: (string | Buffer)[]): Promise<unknown> {
    return this.client.sendCommand(args, asBuffers)
  }

  private refuses(insist: boolean): string | undefined {
    if (this.closed) return 'the store is closed'
    if (this.client.isReady === false) return 'the client has no connection'
    if (this.onTheirWay >= mostOnTheirWay) return 'too many commands are on their way'
    if (this.failures < enough || insist) return undefined
    const now = this.settings.clock()
    if (now < this.pausedUntil) return 'Redis did not answer a moment ago'
    this.pausedUntil = now + this.settings.pause
    return undefined
  }

  private answered(): void {
    if (this.failures >= enough) log('Redis answers again')
    this.failures = 0
  }

  private failed(error: unknown): void {
    this.failures++
    if (this.failures < enough) return
    this.pausedUntil = this.settings.clock() + this.settings.pause
    if (this.failures === enough) log('Redis is left alone for a while: %s', reasonOf(error))
  }
}

/** Whether it is what Redis answered: its errors begin with a code in capitals. */
export function isReply(error: unknown): boolean {
  return error instanceof Error && /^[A-Z]+ /.test(error.message)
}
