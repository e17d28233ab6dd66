import type { Writable } from 'node:stream'
import type { BodyInit, Variants } from '@sluice/core'
import debug from 'debug'
import type { Codec, Coding } from './coding.js'
import { createEncoder } from './encoder.js'
import { levelRanges } from './level.js'
import type { Pressure } from './pressure.js'

const log = debug('sluice:compress')

/** Settings of {@link BetterForms}. */
export interface BetterFormsSettings {
  /** How often an object is asked for in one coding until it is hot. Default 32. */
  readonly hits?: number
}

/** Bytes that the codec gets at once: at br 11 some 100 ms for a thread of the pool. In between it is seen whether to go on. */
const slice = 64 * 1024
const nothing = new Uint8Array(0)

/** Hits so far in each coding; `settled` where there is no more to gain. */
type Counts = Record<Coding, number>
const settled = -1

/** What is being made, in this process. */
let making: Making | undefined

/**
 * Makes the coded forms of hot objects again, in the background and as small as they get: br 11, zstd 19, gzip 9.
 *
 *   cold ──asked for `hits` times──▶ hot ──nothing else is being made──▶ being made ──whole──▶ settled
 *    ▲                                │                                   │ │ └─ not smaller, or the codec fails: settled
 *    └───────── under pressure ───────┴───────────────────────────────────┘ └─ the entry goes: given up, and forgotten with it
 *
 * One form at a time in all of the process, in one thread of the pool, and none while the pool is behind (step 0 of the pressure alone). It
 * holds what is not kept yet, and the codec: 22 MB with br 11. Nobody waits in line: what is hot when its turn comes is asked for again.
 */
export class BetterForms {
  private readonly counts = new WeakMap<Variants, Counts>()
  private readonly hits: number

  constructor(
    private readonly pressure: Pressure,
    settings: BetterFormsSettings = {},
  ) {
    this.hits = settings.hits ?? 32
  }

  /**
   * A client was given the form that `variants` has in this coding.
   * @param plain the bytes that it is a form of. A body that flows is left alone
   */
  hit(variants: Variants, coding: Coding, plain: BodyInit): void {
    let counts = this.counts.get(variants)
    if (counts === undefined) {
      counts = { zstd: 0, br: 0, gzip: 0, deflate: 0 }
      this.counts.set(variants, counts)
    }
    if (counts[coding] === settled || ++counts[coding] < this.hits || making !== undefined) return
    if (typeof plain !== 'string' && !(plain instanceof Uint8Array)) counts[coding] = settled
    else if (this.pressure.step > 0) counts[coding] = 0
    else this.make(variants, coding, plain, counts)
  }

  private make(variants: Variants, coding: Coding, plain: Uint8Array | string, counts: Counts): void {
    const writer = variants.put(coding)
    if (writer === undefined) return
    const bytes = typeof plain === 'string' ? Buffer.from(plain) : plain
    const ended = (end: End): void => {
      making = undefined
      counts[coding] = end === 'pressure' ? 0 : settled
      if (log.enabled) log('the %s form of %d bytes made again: %s', coding, bytes.length, end)
    }
    try {
      making = new Making(coding, bytes, sizeOf(variants.get(coding)), writer, this.pressure, ended)
      making.next()
    } catch {
      // Where memory is short there is no codec.
      writer.destroy()
      ended('failed')
    }
  }
}

/** How it came out. */
type End = 'whole' | 'pressure' | 'gone' | 'no smaller' | 'failed'

/** One form on its way. */
class Making {
  private readonly codec: Codec
  private at = 0
  private size = 0
  private over = false

  /** @param toBeat bytes of the form that is there */
  constructor(
    coding: Coding,
    private readonly plain: Uint8Array,
    private readonly toBeat: number,
    private readonly writer: Writable,
    private readonly pressure: Pressure,
    private readonly ended: (end: End) => void,
  ) {
    this.codec = createEncoder(coding, { level: levelRanges[coding][1], size: plain.length })
    this.codec.on('data', (part: Uint8Array) => this.keep(part))
    this.codec.on('end', () => this.end('whole'))
    this.codec.on('error', () => this.end('failed'))
    writer.on('error', () => this.end('gone'))
  }

  readonly next = (error?: Error | null): void => {
    // Of an error the codec's own event tells.
    if (this.over || error) return
    if (this.pressure.step > 0) return this.end('pressure')
    // Writes of nothing ask whether it is still wanted: the codec may hold back much before it gives any.
    this.writer.write(nothing)
    if (this.writer.destroyed) return this.end('gone')
    const { at, plain } = this
    if (at >= plain.length) {
      this.codec.end()
      return
    }
    this.at = at + slice
    this.codec.write(plain.subarray(at, this.at), this.next)
  }

  private keep(part: Uint8Array): void {
    if (this.over) return
    this.size += part.length
    if (this.size >= this.toBeat) return this.end('no smaller')
    this.writer.write(part)
    if (this.writer.destroyed) this.end('gone')
  }

  private end(end: End): void {
    if (this.over) return
    this.over = true
    if (end === 'whole') this.writer.end()
    else {
      this.writer.destroy()
      this.codec.destroy()
    }
    this.ended(end)
  }
}

function sizeOf(form: BodyInit | undefined): number {
  return form instanceof Uint8Array ? form.length : Number.POSITIVE_INFINITY
}
