import { FileText, FileWatch } from '@sluice/files'
import { fault } from '@sluice/options'
import type { After } from './after.js'
import { CurrentSet } from './current-set.js'
import { type IpSet, trieOf } from './ip-trie.js'

/** A longer file is no list, but something that has gone wrong: it would be a million entries and more. */
const mostBytes = 64 * 1_048_576
/** Milliseconds from a sign of a change to the reading, so that a file in the making is left alone. */
const debounce = 100

/**
 * The list in a file, the newest that is good.
 *
 * constructed ─▶ read at once; what is wrong is thrown
 * then, until disposed: watch, look, wait
 *   a sign of a change ─▶ looks 100 ms later
 *   written to while it is read ─▶ once more, 100 ms later
 *   as before, or good ─▶ looks after `poll`
 *   not good ─▶ told once; looks after `poll`
 */
export class FileList extends CurrentSet {
  private readonly text: FileText
  private readonly near: FileWatch
  private last: string
  private fault: Error | undefined = undefined
  /** There is a sign of a change that nobody has looked at. */
  private touched = false
  private cancel: (() => void) | undefined = undefined
  private closed = false

  /** @throws TypeError if there is no list in the file, that names the option below `path` and each wrong line */
  constructor(
    private readonly file: string,
    private readonly poll: number,
    private readonly after: After,
    path: string,
  ) {
    super(`${path} ${file}`)
    this.text = new FileText(file, mostBytes)
    try {
      this.last = this.text.readNow()
    } catch (error) {
      const got = `'${file}' (${(error as Error).message})`
      throw new TypeError(fault(`${path}.file`, got, 'a file that can be read'), { cause: error })
    }
    this.take(listIn(this.last, file))
    this.near = new FileWatch(
      file,
      () => this.touch(),
      (error) => this.note(`looked at every ${poll} ms: ${String(error)}`),
    )
    void this.round(false)
  }

  override [Symbol.dispose](): void {
    this.closed = true
    this.cancel?.()
    this.cancel = undefined
    this.near[Symbol.dispose]()
  }

  private touch(): void {
    if (this.touched || this.closed) return
    this.touched = true
    // In the middle of a look it counts for the next one.
    if (this.cancel === undefined) return
    this.cancel()
    this.wait(debounce)
  }

  private wait(ms: number): void {
    this.cancel = this.after(ms, () => {
      this.cancel = undefined
      const told = this.touched
      this.touched = false
      void this.round(told)
    })
  }

  private async round(told: boolean): Promise<void> {
    let busy = false
    try {
      // Watched first, or a change between the two would be missed.
      await this.near.arm()
      const text = await this.text.look(told)
      if (this.closed) return
      if (text === undefined) busy = true
      else this.read(text)
    } catch (error) {
      if (this.closed) return
      this.fail(error)
    }
    this.wait(busy || this.touched ? debounce : this.poll)
  }

  /** @throws what is wrong with it, for as long as it is */
  private read(text: string): void {
    if (text !== this.last) {
      this.last = text
      this.fault = undefined
      try {
        this.take(listIn(text, this.file))
      } catch (error) {
        this.fault = error as Error
      }
    }
    if (this.fault !== undefined) throw this.fault
    this.works()
  }
}

/**
 * The list that a text is: an entry a line, and comments.
 * @throws TypeError that names each wrong line
 */
function listIn(text: string, file: string): IpSet {
  const entries: string[] = []
  const lines: number[] = []
  let number = 0
  for (const line of text.split('\n')) {
    number++
    // A mark of the byte order goes with what is trimmed.
    const entry = line.replace(/[#;].*/s, '').trim()
    if (entry === '') continue
    entries.push(entry)
    lines.push(number)
  }
  return trieOf(entries, (i) => `${file}:${lines[i]}`)
}
