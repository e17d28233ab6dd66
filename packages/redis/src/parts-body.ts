import { setTimeout as after } from 'node:timers/promises'
import { PushBody } from '@sluice/core'
import { isReply, type Link } from './link.js'
import { openPart, type StoredBody } from './stored.js'

/** Between two tries to read a part, in ms. */
const again = 50

/** Reads one part of a stored body. */
export interface PartReader {
  /** Rejects where it is gone or changed, or can't be read in time. */
  read(index: number): Promise<Buffer>
}

/**
 * Reads the parts of a body. Once a body has begun, giving up breaks a response: so a part is waited for ten times as long as other
 * answers, and tried again where the connection is lost meanwhile, or Redis is only just there again. One that isn't what was stored is dropped: the entry is a miss then, and
 * would else break each response until its time is over.
 */
export function partReader(link: Link, prefix: string, body: StoredBody): PartReader {
  const { clock, timeout } = link.settings
  const drop = (key: string): void => void link.send(['UNLINK', key]).catch(() => {})
  return {
    async read(index) {
      const key = `${prefix}b:${body.name}:${index}`
      const until = clock() + 10 * timeout
      for (;;) {
        let value: unknown
        try {
          value = await link.send(['GET', key], link.left(until, timeout), true)
        } catch (error) {
          if (isReply(error) && (error as Error).message.startsWith('WRONGTYPE ')) drop(key)
          if (link.closed || isFinal(error) || clock() + again >= until) throw error
          await after(again, undefined, { ref: false })
          continue
        }
        const part = openPart(body, index, value)
        if (part === undefined) {
          if (value !== null) drop(key)
          throw new Error('a part of the stored body is gone, or has changed')
        }
        return part
      }
    },
  }
}

/** Whether it is an answer that will be the same in a moment. */
function isFinal(error: unknown): boolean {
  return isReply(error) && !/^(?:LOADING|BUSY) /.test((error as Error).message)
}

/** The bytes of a stored body from `from` to before `to`, part by part, each once the one before is used up. */
export class PartsBody extends PushBody {
  declare readonly length: number
  private readonly reader: PartReader
  private readonly chunk: number
  private readonly to: number
  private at: number

  constructor(reader: PartReader, chunk: number, from: number, to: number) {
    super()
    this.length = to - from
    this.reader = reader
    this.chunk = chunk
    this.at = from
    this.to = to
    this.waiting = true
  }

  protected resume(): void {
    void this.run()
  }

  protected stop(): void {}

  private async run(): Promise<void> {
    try {
      while (this.at < this.to) {
        const index = Math.floor(this.at / this.chunk)
        const part = await this.reader.read(index)
        if (this.ended) return
        const piece = part.subarray(this.at - index * this.chunk, this.to - index * this.chunk)
        this.at += piece.length
        if (!this.push(piece) && this.at < this.to) return
      }
      this.finish()
    } catch (error) {
      this.fail(error as Error)
    }
  }
}
