/**
 * What Redis or the client says, up to the first quotation mark: behind it Redis quotes the command that it didn't like, and so a value, which is a secret.
 */
export function reasonOf(cause: unknown): string {
  return cause instanceof Error ? (cause.message.split(/['"`\n]/, 1)[0] as string) : 'the client failed'
}
