import { closeSync, constants, fstatSync, openSync, readFileSync, type Stats } from 'node:fs'
import { open } from 'node:fs/promises'

/** A pipe without a writer would hold the one who opens it for ever. Windows has no such flag, nor such pipes. */
const mode = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/** The text of a file that others write, read again when it has changed. Nothing is held open in between. */
export class FileText {
  /** No listing of it shows what may be a key. */
  #text = ''
  private stamp = ''

  /** @param mostBytes a longer one has gone wrong, and isn't read */
  constructor(
    readonly path: string,
    private readonly mostBytes: number,
  ) {}

  /**
   * Reads the file if it has changed.
   * @param told something has happened to it: it is read even if it looks the same
   * @returns its text; undefined if it was being written, and is to be looked at again soon
   * @throws Error if it can't be read, is no file or is too long
   */
  async look(told: boolean): Promise<string | undefined> {
    const file = await open(this.path, mode)
    try {
      const stats = await file.stat()
      this.check(stats)
      const before = stampOf(stats)
      if (told || before !== this.stamp) {
        const text = await file.readFile('utf8')
        if (stampOf(await file.stat()) !== before) return undefined
        this.#text = text
        this.stamp = settled(stats) ? before : ''
      }
    } finally {
      await file.close()
    }
    return this.#text
  }

  /**
   * Reads the file as it is, for those who can't wait. If it is being written, the next {@link look} reads it again.
   * @throws Error as `look` does
   */
  readNow(): string {
    const file = openSync(this.path, mode)
    try {
      const stats = fstatSync(file)
      this.check(stats)
      this.#text = readFileSync(file, 'utf8')
      this.stamp = settled(stats) ? stampOf(stats) : ''
      return this.#text
    } finally {
      closeSync(file)
    }
  }

  private check(stats: Stats): void {
    if (!stats.isFile()) throw new TypeError(`${this.path}: this is no file`)
    if (stats.size > this.mostBytes)
      throw new TypeError(`${this.path}: this is longer than ${this.mostBytes} bytes`)
  }
}

/** In ms: no file system in use tells times more coarsely. */
const coarsest = 2_000

/** Whether another change would give another stamp: one that follows at once may have the same time, and the same size. */
function settled({ mtimeMs, ctimeMs }: Stats): boolean {
  return Math.max(mtimeMs, ctimeMs) < Date.now() - coarsest
}

/** The stamp of what was read, taken before: a change in the middle of it gives another one. */
function stampOf({ ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${ino} ${size} ${mtimeMs} ${ctimeMs}`
}
