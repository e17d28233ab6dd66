import type { Coding } from './coding.js'

/**
 * What is wrong with a coded body.
 *
 * `truncated` it ends before its end · `corrupt` it can't be decoded · `garbage` bytes follow its end · `too-large` and `ratio` it is
 * within the coding's rules, but beyond a limit
 */
export type DecodeFault = 'truncated' | 'corrupt' | 'garbage' | 'too-large' | 'ratio'

/** Why a body can't be decoded. What came of it before is not all of it. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'

  constructor(
    readonly fault: DecodeFault,
    readonly coding: Coding,
    message: string,
    cause?: unknown,
  ) {
    super(`a body coded as ${coding} ${message}`, cause === undefined ? undefined : { cause })
  }
}
