import { endOfTurn } from './end-of-turn.js'

let time = 0
let known = false

/**
 * Monotonic milliseconds, as of the first time that somebody has asked in this turn of the event loop: for what is measured in
 * many requests a turn, since to read the clock costs more than most of what is done with it. What has come with a turn has
 * come before any of it was handled, so that a latency measured by it isn't blamed for what this process did meanwhile. Timers of
 * Node's count from the begin of a turn as well.
 */
export function turnTime(): number {
  if (!known) {
    known = true
    time = performance.now()
    endOfTurn(forget, undefined)
  }
  return time
}

function forget(): void {
  known = false
}
