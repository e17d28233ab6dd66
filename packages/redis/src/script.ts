import { createHash } from 'node:crypto'

/** A Lua script, and the name by which Redis knows it once it has seen it. */
export interface Script {
  readonly text: string
  readonly sha: string
}

/** Makes a {@link Script} of its text. */
export function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}
