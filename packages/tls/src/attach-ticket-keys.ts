import { randomBytes } from 'node:crypto'
import type { Server } from 'node:tls'
import { needsTls } from './needs-tls.js'
import type { TicketKeyRing } from './ticket-key-ring.js'

/** Where the keys come from. */
interface Keys extends Pick<TicketKeyRing, 'sealing' | 'opening' | 'left'> {}

/** What OpenSSL is told: 0 not ours, 1 go on, 2 go on and seal it anew. */
type Answer = [result: 0 | 1 | 2, hmac: Buffer, aes: Buffer, name: Buffer, iv: Buffer]

/** What Node has for this and doesn't show: one callback for tickets that are sealed and opened, of TLS 1.2 and 1.3. */
interface NativeContext {
  enableTicketKeyCallback?: () => void
  onticketkeycallback?: (name: Buffer, iv: Buffer, sealing: boolean) => Answer
}

const nobody = Buffer.alloc(16)

/**
 * Lets a server seal and open its tickets by these keys, until disposed.
 *
 * Node's `ticketKeys` and `setTicketKeys` hold one key alone, so each change would break all tickets that are out. Its native context takes a
 * callback, in every Node from 20 to 26; it belongs to the server's own context, whatever context SNI gives. Should a Node have
 * none, there is one key at a time, and tickets end with their period.
 */
export function attachTicketKeys(server: Server, ring: Keys): Disposable {
  needsTls(server)
  const native = nativeContext(server)
  return native?.enableTicketKeyCallback === undefined
    ? oneAtATime(server, ring)
    : byCallback(native as Required<NativeContext>, ring)
}

function nativeContext(server: Server): NativeContext | undefined {
  return (server as unknown as { _sharedCreds?: { context?: NativeContext } })._sharedCreds?.context
}

function byCallback(native: Required<NativeContext>, ring: Keys): Disposable {
  native.enableTicketKeyCallback()
  native.onticketkeycallback = callback(ring)
  return {
    [Symbol.dispose]() {
      // It can't be taken back, and without an answer a handshake would fail.
      const name = randomBytes(16)
      const own = { name, hmac: randomBytes(16), aes: randomBytes(16) }
      native.onticketkeycallback = callback({
        sealing: own,
        opening: (asked) => (asked.equals(name) ? own : undefined),
        left: Number.POSITIVE_INFINITY,
      })
    },
  }
}

function callback(ring: Keys): Required<NativeContext>['onticketkeycallback'] {
  return (name, iv, sealing) => {
    if (sealing) {
      const key = ring.sealing
      return [1, key.hmac, key.aes, key.name, randomBytes(16)]
    }
    const key = ring.opening(name)
    if (key === undefined) return [0, nobody, nobody, name, iv]
    // With 2, a client of TLS 1.3 that uses each ticket once (RFC 8446 appendix C.4) would get another one, which costs every resumed
    // connection a tenth more; with the two of its handshake it comes back twice, as on a server of Node's own.
    return [key.name.equals(ring.sealing.name) ? 1 : 2, key.hmac, key.aes, name, iv]
  }
}

/** The longest that a timer of Node's takes. */
const longestTimer = 2 ** 31 - 1

function oneAtATime(server: Server, ring: Keys): Disposable {
  let timer: NodeJS.Timeout | undefined
  const set = (): void => {
    const { name, hmac, aes } = ring.sealing
    server.setTicketKeys(Buffer.concat([name, hmac, aes]))
    timer = setTimeout(set, Math.min(ring.left, longestTimer)).unref()
  }
  set()
  return {
    [Symbol.dispose]() {
      clearTimeout(timer)
      server.setTicketKeys(randomBytes(48))
    },
  }
}
