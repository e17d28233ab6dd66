import { Writable } from 'node:stream'
import type { BodyInit, Variants } from '@sluice/core'

const mostForms = 8
const longestName = 32
/** What a form takes beside its bytes: a buffer, and its place in a map. */
const perForm = 500

/**
 * Coded forms of one body. One is kept once its writer has finished; a writer that is destroyed leaves nothing. While one writes, others
 * that want to write the same coding are told that they can't.
 */
export class CodedForms implements Variants {
  /** What they take in memory. */
  bytes = 0
  private readonly forms = new Map<string, Uint8Array | undefined>()

  /**
   * @param most bytes of one form
   * @param mayKeep asked with what a finished form would add to `bytes`
   * @param kept hears that `bytes` has grown
   */
  constructor(
    private readonly most: number,
    private readonly mayKeep: (added: number) => boolean,
    private readonly kept: () => void,
  ) {}

  get(coding: string): BodyInit | undefined {
    return this.forms.get(coding)
  }

  put(coding: string): Writable | undefined {
    if (this.forms.has(coding) || this.forms.size === mostForms || coding.length > longestName)
      return undefined
    if (!this.mayKeep(perForm)) return undefined
    this.forms.set(coding, undefined)
    return this.writer(coding)
  }

  private writer(coding: string): Writable {
    const parts: Uint8Array[] = []
    let size = 0
    return new Writable({
      write: (chunk: Uint8Array, _, done) => {
        size += chunk.length
        // What is too large is taken and dropped: whoever writes it has it for a client, too.
        if (size <= this.most) parts.push(chunk)
        else parts.length = 0
        done()
      },
      final: (done) => {
        if (size <= this.most) this.keep(coding, parts, size)
        done()
      },
      destroy: (error, done) => {
        if (this.forms.get(coding) === undefined) this.forms.delete(coding)
        done(error)
      },
    })
  }

  private keep(coding: string, parts: readonly Uint8Array[], size: number): void {
    if (!this.mayKeep(size + perForm)) return
    const bytes = Buffer.allocUnsafeSlow(size)
    let at = 0
    for (const part of parts) {
      bytes.set(part, at)
      at += part.length
    }
    this.forms.set(coding, bytes)
    this.bytes += size + perForm
    this.kept()
  }
}
