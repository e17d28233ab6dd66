/** Takes what may be PEM: a text or bytes. */
export function isPem(value: unknown): value is string | Buffer {
  return (typeof value === 'string' || Buffer.isBuffer(value)) && value.length > 0
}

/** What a value is, without what it holds: it may be a secret. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (value === '') return 'an empty text'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return 'a text'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

/** Whether both hold the same bytes, or both are none. */
export function sameBytes(a: string | Buffer | undefined, b: string | Buffer | undefined): boolean {
  if (a === b) return true
  return a !== undefined && b !== undefined && Buffer.from(a).equals(Buffer.from(b))
}
