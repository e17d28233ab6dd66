import { fault, quote } from './fault.js'

/** Bytes, or a number with its unit (1 kb is 1024 bytes). 0 turns a limit off. */
export type Size = number | `${number}b` | `${number}kb` | `${number}mb` | `${number}gb`

const units: Record<string, number> = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 }

/** What a size may be, for error texts. */
export const sizeTakes = "bytes or a text such as '64kb', '8mb', '1gb'"

/** Bytes of a size; `undefined` for what is none, and for a part of a byte, which as 0 would turn a limit off. */
export function readSize(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?)(b|kb|mb|gb)$/i.exec(value) : null
  if (match === null) return undefined
  const bytes = Number(match[1]) * (units[(match[2] as string).toLowerCase()] as number)
  return bytes > 0 && bytes < 1 ? undefined : Math.floor(bytes)
}

/**
 * Bytes of a size.
 * @param path the option's, for the error
 * @throws TypeError that names `path`
 */
export function parseSize(value: Size, path = 'size'): number {
  const bytes = readSize(value)
  if (bytes === undefined) throw new TypeError(fault(path, quote(value), sizeTakes))
  return bytes
}
