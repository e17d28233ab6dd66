import { printable } from './acme-error.js'

/** What an error says, whatever was thrown: it may be nothing that has a text. */
export function messageOf(error: unknown): string {
  try {
    return printable(error instanceof Error ? error.message : String(error))
  } catch {
    return 'an error that can not be shown'
  }
}
