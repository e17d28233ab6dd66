import type { EntryHead, EntryWriter } from '@sluice/cache'
import type { HeaderList } from '@sluice/headers'
import debug from 'debug'
import type { Link } from './link.js'
import { commit, extend } from './scripts.js'
import { sealBody, sealHead, sealPart } from './stored.js'

const log = debug('sluice:redis')

/** How long parts of a body live that is still being written, in ms: what a proxy leaves behind that dies meanwhile is gone then. */
const draft = 300_000

/** Longest that an entry is kept, in ms: 400 days, as for cookies. */
export const longest = 400 * 86_400_000

/** What the writers of a store have in common. */
export interface Writing {
  readonly link: Link
  readonly prefix: string
  /** Bytes of a part. */
  readonly chunk: number
  /** Bytes of the largest body that is kept; 0 for any. */
  readonly maxEntry: number
  /** Bytes that all of them may hold that Redis has not taken. */
  readonly buffer: number
  /** Bytes that all of them hold. */
  held: number
  /** Hears the number of the last purge, whenever Redis tells it, and the mark that was given for it. */
  learned(number: number, mark: number): void
}

/**
 * An entry on its way to Redis: parts go there while the body comes, one after the other, and are found by nobody before `commit`. A
 * body of one part goes with its head.
 */
export class RedisWriter implements EntryWriter {
  private readonly shared: Writing
  private readonly key: string
  private readonly head: EntryHead
  private readonly mark: Promise<number>
  private readonly name: string
  /** Views of what was written and isn't in a part yet. */
  private rest: Uint8Array[] = []
  private restBytes = 0
  private size = 0
  private parts = 0
  /** What this one holds of `shared.held`. */
  private held = 0
  private over = false
  private failed = false
  private freshFrom: number
  /** The last of what was sent, one after the other. Never rejects. */
  private sent: Promise<unknown> = Promise.resolve()

  constructor(shared: Writing, key: string, head: EntryHead, mark: Promise<number>, name: string) {
    this.shared = shared
    this.key = key
    this.head = head
    this.mark = mark
    this.name = name
    this.freshFrom = shared.link.settings.clock()
  }

  write(chunk: Uint8Array): boolean {
    if (this.over) return false
    const { shared } = this
    this.size += chunk.length
    this.hold(chunk.length)
    const tooLarge = shared.maxEntry > 0 && this.size > shared.maxEntry
    if (this.failed || tooLarge || shared.held + shared.link.bytes > shared.buffer) {
      this.abort()
      return false
    }
    this.rest.push(chunk)
    this.restBytes += chunk.length
    while (this.restBytes > shared.chunk) this.sendPart(shared.chunk)
    this.stayFresh()
    return true
  }

  commit(trailers?: HeaderList): void | Promise<void> {
    if (this.over) return
    if (this.failed || (this.head.length !== undefined && this.head.length !== this.size)) return this.abort()
    this.over = true
    let bytes: Buffer | string = ''
    // What was written may change once this has returned: it is copied now.
    if (this.parts > 0) this.sendPart(this.restBytes)
    else bytes = sealPart(this.name, 0, this.rest)
    this.rest = []
    return this.finish(bytes, trailers)
  }

  abort(): void {
    if (this.over) {
      // What has been sent can't be taken back; what is newer goes the same way, and so comes after it.
      this.failed = true
      return
    }
    this.over = true
    this.rest = []
    void this.sent.then(() => {
      this.hold(-this.held)
      return this.unlink()
    })
  }

  private async finish(bytes: Buffer | string, trailers: HeaderList | undefined): Promise<void> {
    const { shared, key, head } = this
    await this.sent
    try {
      if (this.failed) return await this.unlink()
      const mark = await this.mark
      if (this.failed) return await this.unlink()
      const ttl = Math.min(longest, Math.floor(head.keepUntil - Date.now()))
      // Not `!(ttl <= 0)`: a time that is no number keeps nothing either.
      if (!(ttl > 0)) return await this.unlink()
      const { name, size, parts } = this
      const known = { id: head.id, name, size, chunk: shared.chunk, parts }
      const body = trailers === undefined ? known : { ...known, trailers }
      const reply = (await shared.link.run(commit, [
        shared.prefix,
        key,
        head.id,
        String(ttl),
        String(mark),
        head.url,
        JSON.stringify(head.tags),
        sealHead(key, head),
        sealBody(key, body),
        bytes,
        name,
        String(parts),
      ])) as [number, Buffer]
      shared.learned(Number(String(reply[1])), mark)
    } catch (error) {
      log('an entry is not kept: %s', (error as Error).message)
      // It isn't kept, or Redis did it and could not say so: the parts are let go by their time to live.
    } finally {
      this.hold(-this.held)
    }
  }

  /** Seals the next bytes of the body, and sends them once those before have arrived. */
  private sendPart(length: number): void {
    const taken: Uint8Array[] = []
    let missing = length
    let next = 0
    while (missing > 0) {
      const part = this.rest[next] as Uint8Array
      if (part.length > missing) {
        taken.push(part.subarray(0, missing))
        this.rest[next] = part.subarray(missing)
        break
      }
      taken.push(part)
      missing -= part.length
      next++
    }
    this.rest.splice(0, next)
    this.restBytes -= length
    const index = this.parts++
    const value = sealPart(this.name, index, taken)
    this.queue(() => {
      // From here on it counts among what the client holds.
      this.hold(-length)
      return this.shared.link.send(['SET', this.partKey(index), value, 'PX', String(draft)])
    })
  }

  /** A body that comes slowly outlives the time of its first parts: they are given more of it now and then. */
  private stayFresh(): void {
    const now = this.shared.link.settings.clock()
    if (this.parts === 0 || now - this.freshFrom < draft / 4) return
    this.freshFrom = now
    const args = [this.shared.prefix, this.name, String(this.parts), String(draft)]
    this.queue(() => this.shared.link.run(extend, args))
  }

  private queue(step: () => Promise<unknown>): void {
    this.sent = this.sent
      .then(() => (this.failed ? undefined : step()))
      .catch(() => {
        this.failed = true
      })
  }

  private async unlink(): Promise<void> {
    if (this.parts === 0) return
    const keys = Array.from({ length: this.parts }, (_, index) => this.partKey(index))
    await this.shared.link.send(['UNLINK', ...keys]).catch(() => {})
  }

  private partKey(index: number): string {
    return `${this.shared.prefix}b:${this.name}:${index}`
  }

  private hold(bytes: number): void {
    this.held += bytes
    this.shared.held += bytes
  }
}
