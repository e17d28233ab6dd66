import { afterEach } from 'vitest'

/** What a test must end. */
export interface Closable {
  close(): unknown
}

/**
 * A keeper for the things of one test: it hands back what it is given, and closes all of them after the test, the last
 * first. Called once in a test file.
 */
export function owner(): <T extends Closable>(thing: T) => T {
  const things: Closable[] = []
  afterEach(async () => {
    for (const thing of things.splice(0).reverse()) await thing.close()
  })
  return (thing) => {
    things.push(thing)
    return thing
  }
}
