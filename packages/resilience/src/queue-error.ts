import type { QueueRefusal } from './queue-line.js'

const texts: Record<QueueRefusal, string> = {
  queue_full: 'there is no place left in the queue',
  queue_timeout: 'waited too long in the queue',
  queue_closed: 'the queue is closed',
}

/** A call that was never made: the function hasn't been called. */
export class QueueError extends Error {
  override readonly name = 'QueueError'

  /** @param retryAfterMs until who waited then has been served or refused, where that is known */
  constructor(
    readonly code: QueueRefusal,
    readonly retryAfterMs?: number,
  ) {
    super(texts[code])
  }
}
