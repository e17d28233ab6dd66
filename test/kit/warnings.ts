import { afterEach, beforeEach } from 'vitest'

/** Collects the messages of the warnings of one name that are given out in a test. Called once in a test file. */
export function warningsOf(name: string): string[] {
  const messages: string[] = []
  const note = (warning: Error): void => {
    if (warning.name === name) messages.push(warning.message)
  }
  beforeEach(() => {
    messages.length = 0
    process.on('warning', note)
  })
  afterEach(() => void process.off('warning', note))
  return messages
}
