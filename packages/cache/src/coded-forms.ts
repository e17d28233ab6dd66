import { Writable } from 'node:stream'
import type { BodyInit, Variants } from '@sluice/core'

const mostForms = 8
const longestName = 32
/** What a form takes beside its bytes: a buffer, and its place in a map. */
const perForm = 500

/**
 *   none ──put──▶ first writes ──finished──▶ kept ──put──▶ kept, a better one writes
 *    ▲                 │                      ▲                 │ finished: in its place
 *    └────destroyed────┘                      └─────────────────┘ destroyed: as it was
 */
interface Form {
  kept: Uint8Array | undefined
  writer: Writable | undefined
}

/**
 * Coded forms of one body. One is kept once its writer has finished, in the place of an earlier one if there is one; a writer that is
 * destroyed changes nothing. While one writes, others that want to write the same coding are told that they can't.
 */
export class CodedForms implements Variants {
  /** What they take in memory: those that are kept, as those that are written are whoever's who writes. */
  bytes = 0
  private readonly forms = new Map<string, Form>()

  /**
   * @param most bytes of one form
   * @param mayKeep asked with what a form would add to `bytes`: none any more, once the body is gone
   * @param changed hears that `bytes` is another
   */
  constructor(
    private readonly most: number,
    private readonly mayKeep: (added: number) => boolean,
    private readonly changed: () => void,
  ) {}

  get(coding: string): BodyInit | undefined {
    return this.forms.get(coding)?.kept
  }

  put(coding: string): Writable | undefined {
    let form = this.forms.get(coding)
    if (form === undefined) {
      if (this.forms.size === mostForms || coding.length > longestName) return undefined
      form = { kept: undefined, writer: undefined }
    } else if (form.writer !== undefined) return undefined
    if (!this.mayKeep(added(form, 0))) return undefined
    this.forms.set(coding, form)
    form.writer = this.writer(coding, form)
    return form.writer
  }

  private writer(coding: string, form: Form): Writable {
    const parts: Uint8Array[] = []
    let size = 0
    const writer = new Writable({
      write: (chunk: Uint8Array, _, done) => {
        size += chunk.length
        // Whoever writes has the bytes for a client, too, and goes on without this.
        if (size > this.most || !this.mayKeep(added(form, size))) {
          parts.length = 0
          writer.destroy()
        } else parts.push(chunk)
        done()
      },
      final: (done) => {
        this.keep(form, parts, size)
        done()
      },
      destroy: (error, done) => {
        if (form.writer === writer) this.ended(coding, form)
        done(error)
      },
    })
    return writer
  }

  private keep(form: Form, parts: readonly Uint8Array[], size: number): void {
    const more = added(form, size)
    if (!this.mayKeep(more)) return
    const bytes = Buffer.allocUnsafeSlow(size)
    let at = 0
    for (const part of parts) {
      bytes.set(part, at)
      at += part.length
    }
    form.kept = bytes
    form.writer = undefined
    this.bytes += more
    this.changed()
  }

  private ended(coding: string, form: Form): void {
    form.writer = undefined
    if (form.kept === undefined) this.forms.delete(coding)
  }
}

/** What a form of `size` bytes would add to what is kept. */
function added({ kept }: Form, size: number): number {
  return kept === undefined ? size + perForm : size - kept.length
}
