import type { v } from '@sluice/options'

/** An issue at one option of an object. */
export function issueAt(
  input: object,
  key: string,
  message: string,
): {
  message: string
  input: unknown
  path: [v.ObjectPathItem]
} {
  const value = (input as Record<string, unknown>)[key]
  return {
    message,
    input: value,
    path: [{ type: 'object', origin: 'value', input: input as Record<string, unknown>, key, value }],
  }
}
