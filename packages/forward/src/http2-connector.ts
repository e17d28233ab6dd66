import { type ClientHttp2Session, connect } from 'node:http2'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { ProxyError } from '@sluice/core'
import { pinFault, type Target, tlsOptions } from '@sluice/upstream'
import { addressPatience } from './address-patience.js'
import { type ConnectHook, lookupOf, refusal, refusedSocket } from './connect-hook.js'
import { Deadline, type Deadlines } from './deadlines.js'
import { wireLimits } from './wire-limits.js'

/** Answers that may come at full speed over one connection. Node gives its window back as bytes come, so one slow reader doesn't stop the others. */
const answersAtOnce = 16
/** RFC 9113 section 6.9.1. */
const largestWindow = 2 ** 31 - 1

/**
 * Megabytes that Node lets a connection hold. Bodies in memory count until the target has taken them, and past the limit Node
 * resets whatever stream is answered: three uploads to a slow target would fail everybody's requests. What targets can make
 * it hold is limited by the fields of an answer and by the streams.
 */
const maxSessionMemory = 4096

/** Who hears how a connect went: exactly one of the three, later. */
export interface Http2Connected {
  /** The target's settings are known. */
  connected(session: ClientHttp2Session, socket: Socket): void
  /** The target has chosen HTTP/1.1, or speaks no ALPN. */
  speaksHttp1(): void
  failed(error: Error): void
}

/** How to reach a target over HTTP/2. */
export interface Http2Address {
  readonly target: Target
  readonly secure: boolean
  /** The target says by ALPN whether it speaks HTTP/2 (RFC 9113 section 3.2); else that is known before (3.3). */
  readonly alpn: boolean
  /** Bytes of one answer that the target may send ahead of its reader. So much is held for a client that has stopped. */
  readonly window: number
  /** Says where connections may go, and resolves names. */
  readonly hook?: ConnectHook | undefined
}

/**
 * Opens an HTTP/2 connection. It counts as open when the target's first SETTINGS frame has come, which has to be the first
 * that it sends (RFC 9113 section 3.4), and it takes streams: a target that speaks something else is noticed before a request
 * goes out, and no stream is sent beyond its limit.
 * @param timeout ms for all of it; 0: no limit
 * @returns what gives it up
 */
export function connectHttp2(
  address: Http2Address,
  timeout: number,
  deadlines: Deadlines,
  told: Http2Connected,
): () => void {
  const { target, secure, alpn, window } = address
  const socket = openSocket(address, timeout)
  let session: ClientHttp2Session | undefined
  let over = false
  let failure: Error | undefined
  const deadline = new Deadline(() => {
    fail(new ProxyError('connection_timeout', { message: `no HTTP/2 connection within ${timeout} ms` }))
  })
  deadlines.set(deadline, timeout)

  function settle(): boolean {
    if (over) return false
    over = true
    deadlines.drop(deadline)
    return true
  }
  function fail(error: Error): void {
    if (!settle()) return
    session?.destroy()
    socket.destroy()
    told.failed(error)
  }
  const note = (error: Error): void => {
    failure ??= error
  }

  socket.on('error', note)
  socket.once('close', () => fail(failure ?? new ProxyError('connection_refused')))
  socket.once(secure ? 'secureConnect' : 'connect', () => {
    if (over) return
    if (secure) {
      const fault = pinFault(target, socket as TLSSocket)
      if (fault !== undefined) return fail(fault)
      if (alpn && (socket as TLSSocket).alpnProtocol !== 'h2') {
        settle()
        socket.destroy()
        told.speaksHttp1()
        return
      }
    }
    session = connect('http://target.invalid', {
      createConnection: () => socket,
      maxHeaderListPairs: wireLimits.fields,
      maxSessionMemory,
      settings: {
        enablePush: false,
        initialWindowSize: window,
        maxHeaderListSize: wireLimits.head,
      },
    })
    // An alert after the handshake, of a client certificate that is refused (RFC 8446 section 4.4.2.4): Node destroys the session and
    // tells nobody until its socket is gone, too.
    socket.on('error', () => socket.destroy())
    session.on('error', (error: Error) => {
      note(error)
      fail(alien(error))
    })
    session.once('close', () => fail(failure ?? new ProxyError('connection_refused')))
    session.on('remoteSettings', ({ maxConcurrentStreams }) => {
      // RFC 9113 section 6.5.2: no stream for now, which is not to last.
      if (maxConcurrentStreams === 0) return
      if (session === undefined || session.destroyed || !settle()) return
      // SETTINGS can't say it (RFC 9113 section 6.9.2).
      session.setLocalWindowSize(Math.min(answersAtOnce * window, largestWindow))
      told.connected(session, socket)
    })
  })
  return () => fail(new ProxyError('proxy_closing'))
}

/** Bytes that are no HTTP/2: the target speaks something else. No request has been sent, so another target may take it. */
function alien(error: Error): Error {
  if (!String((error as { code?: unknown }).code).startsWith('ERR_HTTP2_')) return error
  const message = `the target does not speak HTTP/2: ${error.message}`
  return new ProxyError('connection_refused', { message, cause: error })
}

function openSocket({ target, secure, alpn, hook }: Http2Address, timeout: number): Socket {
  const { url } = target
  const common = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }
  if (url.startsWith('unix:')) {
    const path = url.slice('unix:'.length)
    const refused = refusal(hook, { path })
    return refused === undefined ? connectTcp({ path }) : refusedSocket(refused)
  }
  const { hostname, port } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  const to = { host, port: Number(port) || (secure ? 443 : 80) }
  const refused = refusal(hook, to)
  if (refused !== undefined) return refusedSocket(refused)
  const addresses = isIP(host) === 0 ? addressPatience.begin(target, timeout) : undefined
  const where = {
    ...to,
    lookup: lookupOf(hook),
    ...(addresses === undefined ? {} : { autoSelectFamilyAttemptTimeout: addresses.timeout }),
  }
  const offered = alpn ? ['h2', 'http/1.1'] : ['h2']
  const socket = secure
    ? connectTls({ ...where, ...tlsOptions(target, offered) })
    : connectTcp({ ...where, ...common })
  addresses?.watch(socket)
  if (!secure) return socket
  socket.setNoDelay(true)
  socket.setKeepAlive(true, common.keepAliveInitialDelay)
  return socket
}
