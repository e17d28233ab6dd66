import type { HeaderList } from '@sluice/headers'
import { flatCopy } from './flat-copy.js'
import { type PackedReader, packText } from './packed-text.js'

const mostNames = 127
const mostValues = 64
/** What one name's values may take, in characters. */
const mostText = 4096
const longestName = 64
/** So many values that weren't known, with few that were, show a field that differs from response to response. */
const enough = 256

interface Name {
  readonly code: number
  readonly text: string
  readonly values: string[]
  /** By value what is written for the name with it; dropped where values don't repeat. */
  codes: Map<string, string> | undefined
  room: number
  known: number
  unknown: number
}

/**
 * Writes header lists short: the names and values that come up first are kept here once, and written as a number from then on.
 * Bounded, and nothing is ever taken out, since what is written refers to it.
 */
export class FieldTable {
  private readonly byText = new Map<string, Name>()
  private readonly byCode: Name[] = []

  /** Adds a list to a text in parts. */
  write(parts: string[], headers: readonly string[]): void {
    for (let i = 0; i < headers.length; i += 2) {
      const text = headers[i] as string
      const value = headers[i + 1] as string
      const name = this.byText.get(text) ?? this.learn(text)
      if (name === undefined) {
        parts.push('\0')
        packText(parts, text)
        packText(parts, value)
        continue
      }
      const code = name.codes === undefined ? undefined : codeOf(name, value)
      if (code !== undefined) parts.push(code)
      else {
        parts.push(chars[name.code + 1] as string)
        packText(parts, value)
      }
    }
  }

  /** The list that stands in a text, from where `from` is to its end. */
  read(from: PackedReader): HeaderList {
    const headers: HeaderList = []
    while (!from.done) {
      const code = from.code()
      if (code === 0) headers.push(from.text(), from.text())
      else {
        const name = this.byCode[(code & 127) - 1] as Name
        headers.push(name.text, code >= withValue ? (name.values[from.code()] as string) : from.text())
      }
    }
    return headers
  }

  private learn(text: string): Name | undefined {
    if (this.byCode.length === mostNames || text.length > longestName) return undefined
    const name: Name = {
      code: this.byCode.length,
      text: flatCopy(text),
      values: [],
      codes: new Map(),
      room: mostText,
      known: 0,
      unknown: 0,
    }
    this.byCode.push(name)
    this.byText.set(name.text, name)
    return name
  }
}

const chars = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
/** Added to a name's number, says that a value's number follows. */
const withValue = 128

function codeOf(name: Name, value: string): string | undefined {
  const codes = name.codes as Map<string, string>
  const code = codes.get(value)
  if (code !== undefined) {
    name.known++
    return code
  }
  if (++name.unknown >= enough && name.known < name.unknown) {
    name.codes = undefined
    return undefined
  }
  if (codes.size === mostValues || value.length > name.room) return undefined
  name.room -= value.length
  const text = flatCopy(value)
  const made = String.fromCharCode(name.code + 1 + withValue, name.values.length)
  name.values.push(text)
  codes.set(text, made)
  return made
}
