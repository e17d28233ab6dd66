import { Duplex } from 'node:stream'

/**
 * A client's socket for `ws`, which nobody reads: http-proxy writes the answer's head to it and joins it to the target's socket,
 * and turns a connection that was lost into one that has ended. So the two are parted again, and the tunnel gets the
 * target's socket itself.
 */
export class StandInSocket extends Duplex {
  readonly encrypted = false

  constructor() {
    super({ allowHalfOpen: true })
    this.on('error', () => {})
  }

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
    done()
  }

  setTimeout(): this {
    return this
  }

  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  destroySoon(): void {
    this.destroy()
  }
}
