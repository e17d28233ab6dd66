/** Bytes a second below which a client isn't sending: the rate that `guard.slow` asks for too. */
const slowRate = 240

/** How long a body may come more slowly than that while others wait, in ms. */
const bodyPatience = 2_000

/**
 * How long an answer may be left alone while others wait, in ms. All that is seen of a reader is that what was written for it, 128 KB
 * and what the system holds, has left: one that takes 50 KB a second is heard of every 3 to 6 s.
 */
const readerPatience = 10_000

/** For how long an exchange has waited for its own client. It is written when a wait begins, and read when a pool is full. */
export class ClientWait {
  private bodyBytes = 0
  private readerSince = Number.POSITIVE_INFINITY

  /** @param bodySince when it is up to the client to send, in ms */
  constructor(private bodySince: number) {}

  /**
   * From here on it is up to the client to send, so the time before doesn't count.
   * @param bytes what it has sent
   */
  bodyBegins(now: number, bytes: number): void {
    this.bodySince = now
    this.bodyBytes = bytes
  }

  /** The answer has no room from here on, if it had any. */
  readerBegins(now: number): void {
    if (this.readerSince === Number.POSITIVE_INFINITY) this.readerSince = now
  }

  /** Somebody takes the answer from here on: what it had to wait for before was no client. */
  readerTakes(now: number): void {
    if (this.readerSince !== Number.POSITIVE_INFINITY) this.readerSince = now
  }

  /** The answer has room. */
  readerEnds(): void {
    this.readerSince = Number.POSITIVE_INFINITY
  }

  /**
   * How long the body has come too slowly, in ms; 0: it hasn't. One that has been fast enough is measured anew from here: what it
   * sent at first must not cover for it later.
   * @param bytes what the client has sent
   */
  ofBody(now: number, bytes: number): number {
    const waited = now - this.bodySince
    if (waited < bodyPatience) return 0
    if ((bytes - this.bodyBytes) * 1_000 < slowRate * waited) return waited
    this.bodyBegins(now, bytes)
    return 0
  }

  /** How long the answer hasn't been taken, in ms; 0: not for long. */
  ofReader(now: number): number {
    const waited = now - this.readerSince
    return waited < readerPatience ? 0 : waited
  }
}
