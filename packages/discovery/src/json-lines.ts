/** Where things stand in a JSON text. */
export interface JsonLines {
  /** Lines by path: `[0].url`, `targets[2]`; of an object and a list the line of its bracket. */
  readonly lines: ReadonlyMap<string, number>
  /** The line of the first thing that is no JSON. */
  readonly fault: number | undefined
}

const space = /[ \t\n\r]*/y
// biome-ignore lint/suspicious/noControlCharactersInRegex: a text of JSON has none, and that is what is checked
const text = /"(?:[^"\\\0-\x1f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/y
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

/**
 * Lines of a JSON text (RFC 8259), for messages to the one who wrote it: what `JSON.parse` says of a fault has a position in some
 * versions of Node and in some cases, and never one of a value. Used only where something is wrong.
 */
export function jsonLines(source: string): JsonLines {
  const reader = new Reader(source)
  return { fault: reader.read(), lines: reader.lines }
}

class Reader {
  readonly lines = new Map<string, number>()
  private at = 0
  private lineThere = 1
  /** The line's end: each is looked for once. */
  private end: number

  constructor(private readonly source: string) {
    this.end = this.breakFrom(0)
  }

  read(): number | undefined {
    try {
      this.value('')
      this.skip()
      if (this.at === this.source.length) return undefined
    } catch {
      // A fault, or a nesting deeper than the stack: either way it is here.
    }
    return this.line()
  }

  private value(path: string): void {
    this.skip()
    this.lines.set(path, this.line())
    if (this.takes('{')) {
      this.members('}', () => {
        const name = this.token(text)
        this.need(':')
        this.value(join(path, JSON.parse(name) as string))
      })
    } else if (this.takes('[')) {
      let index = 0
      this.members(']', () => this.value(`${path}[${index++}]`))
    } else this.token(this.source[this.at] === '"' ? text : scalar)
  }

  private members(end: string, member: () => void): void {
    if (this.takes(end)) return
    do {
      this.skip()
      member()
    } while (this.takes(','))
    this.need(end)
  }

  private takes(sign: string): boolean {
    this.skip()
    if (this.source[this.at] !== sign) return false
    this.at++
    return true
  }

  private need(sign: string): void {
    if (!this.takes(sign)) throw new SyntaxError()
  }

  private skip(): void {
    this.token(space)
  }

  private token(pattern: RegExp): string {
    pattern.lastIndex = this.at
    const [found] = pattern.exec(this.source) ?? []
    if (found === undefined) throw new SyntaxError()
    this.at += found.length
    return found
  }

  private line(): number {
    for (; this.end < this.at; this.end = this.breakFrom(this.end + 1)) this.lineThere++
    return this.lineThere
  }

  private breakFrom(at: number): number {
    const found = this.source.indexOf('\n', at)
    return found < 0 ? this.source.length : found
  }
}

/** The path of a member, as options' paths are written. */
function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
