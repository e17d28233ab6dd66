/** What the command was told is wrong: said in one line, and no stack. */
export class UsageError extends Error {
  name = 'UsageError'
}
