import { inspect } from 'node:util'

/** One fault of an option, in the words that every package uses. */
export function fault(path: string, got: string, takes: string): string {
  return `${path}: got ${got}, takes ${takes}`
}

/** A wrong value in an error's text: short, on one line. */
export function quote(value: unknown): string {
  if (value === undefined) return 'nothing'
  const text = inspect(value, {
    depth: 1,
    breakLength: Number.POSITIVE_INFINITY,
    maxStringLength: 80,
    maxArrayLength: 5,
  })
  return text.length > 120 ? `${text.slice(0, 117)}...` : text
}
