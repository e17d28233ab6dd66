/** What a store needs of a Redis client. Clients of `redis` and `@redis/client` from version 4 on are one; the README has an adapter for `ioredis`. */
export interface RedisClient {
  /**
   * Sends a command. Texts in its reply must come as buffers: `options` ask those clients for it that give strings otherwise. Rejects
   * with the error that Redis answered, whose message begins with its code in capitals, or with any other where there was no answer.
   */
  sendCommand(args: (string | Buffer)[], options?: object): Promise<unknown>
  /** `false`: a command would have to wait for a connection. Then none is sent. */
  readonly isReady?: boolean
  /** A client of the same kind, with a connection of its own that is not open yet, for what Redis tells unasked. */
  duplicate?(): RedisSubscriber
}

/** What a store needs of the connection on which Redis tells of purges. */
export interface RedisSubscriber {
  /** Calls `listener` with each message of the channel from then on, also after the connection was lost and made anew. */
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>
  /** Ends that. */
  unsubscribe(channel: string, listener: (message: string) => void): Promise<unknown>
  /** `ready` tells that there is a connection, or a new one; `error` that one was lost. */
  on?(event: 'ready' | 'error', listener: (error?: Error) => void): unknown
  /** Ends that. */
  off?(event: 'ready' | 'error', listener: (error?: Error) => void): unknown
  /** Opens the connection of one that came from `duplicate`. */
  connect?(): Promise<unknown>
  /** `false`: it has given up, and won't connect again by itself. */
  readonly isOpen?: boolean
  /** Lets go of the connection at once. */
  destroy?(): unknown
  /** The same in clients that have no `destroy`. */
  disconnect?(): unknown
  /** The connection holds no process open. */
  unref?(): unknown
}

/** Tells a {@link RedisClient} from anything else. */
export function isRedisClient(value: unknown): boolean {
  return typeof (value as RedisClient | null | undefined)?.sendCommand === 'function'
}

/** Tells a {@link RedisSubscriber} from anything else. */
export function isRedisSubscriber(value: unknown): boolean {
  const subscriber = value as RedisSubscriber | null | undefined
  return typeof subscriber?.subscribe === 'function' && typeof subscriber.unsubscribe === 'function'
}
