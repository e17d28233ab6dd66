import type { Socket } from 'node:net'
import { createSecureContext, type SecureContext, type Server, TLSSocket } from 'node:tls'
import { fault, quote } from '@sluice/options'
import { beforeServed, firstBytes } from '@sluice/proxy-protocol'
import debug from 'debug'
import { type ClientHello, readClientHello } from './client-hello.js'
import type { KeyPair } from './key-pair.js'
import { needsTls } from './needs-tls.js'

const log = debug('sluice:tls')

/** The protocol by which an authority asks (RFC 8737 section 6.2). */
const protocol = 'acme-tls/1'

/** How long a client may take for its first message, and an authority for its handshake. In ms. */
const patience = 10_000

/** The fatal alert `no_application_protocol` (RFC 7301 section 3.2), in the clear, as it goes before there are keys. */
const noProtocol = Buffer.from('15030300020278', 'hex')

/** Says what proves that a name is this server's: a certificate with its key; nothing where no challenge is open for it. */
export type ChallengeAnswer = (servername: string) => KeyPair | undefined | Promise<KeyPair | undefined>

/**
 * Lets a server of TLS answer TLS-ALPN-01, the challenge of RFC 8737: a connection whose client offers `acme-tls/1`, and
 * nothing else, gets the challenge's certificate and is ended after the handshake; the server itself never hears of it.
 * Every other connection goes on untouched.
 *
 * An authority that asks for a name without an open challenge, or for none, or whose answer fails, gets the fatal alert
 * `no_application_protocol`.
 *
 * It reads the first message of a connection before the server does, by {@link beforeServed}; while `on` says `false` it reads
 * nothing and costs nothing. A client that takes more than 10 s for that message goes on to the server, whose own time limit
 * begins then. With `acceptProxyProtocol` on the same server: that one is put after this, since what is put last is asked
 * first, and its header comes first.
 * @param answer is given the name in lower case
 * @param on whether any challenge is open now. Default: always
 * @returns undoes it; connections that wait go on as they began
 * @throws TypeError for a server without TLS, or something else in place of a function
 */
export function alpnChallenges(
  server: Server,
  answer: ChallengeAnswer,
  on: () => boolean = () => true,
): () => void {
  needsTls(server)
  if (typeof answer !== 'function')
    throw new TypeError(fault('answer', quote(answer), 'a function that gives a pair for a name'))
  if (typeof on !== 'function')
    throw new TypeError(fault('on', quote(on), 'a function that says whether a challenge is open'))
  return beforeServed(server, (socket, serve) => {
    if (!isOn(on)) {
      serve()
      return
    }
    let hello: ReturnType<typeof readClientHello> = 'more'
    const read = (bytes: Buffer): number | undefined => {
      hello = readClientHello(bytes)
      return hello === 'more' ? undefined : 0
    }
    firstBytes(socket, patience, read, (why) => {
      const said = hello as ReturnType<typeof readClientHello>
      if (why === 'end' || why === 'gone') socket.destroy()
      else if (isChallenge(said)) void respond(socket, said.servername, answer)
      else serve()
    })
  })
}

function isOn(on: () => boolean): boolean {
  try {
    return on()
  } catch (error) {
    log('whether a challenge is open: %o', error)
    return false
  }
}

/** RFC 8737 section 3: that protocol alone. Whoever offers others too is no authority. */
function isChallenge(hello: ClientHello | 'more' | 'none'): hello is ClientHello {
  return typeof hello === 'object' && hello.alpn.length === 1 && hello.alpn[0] === protocol
}

async function respond(
  socket: Socket,
  servername: string | undefined,
  answer: ChallengeAnswer,
): Promise<void> {
  socket.on('error', () => {})
  const deadline = setTimeout(() => socket.destroy(), patience)
  deadline.unref()
  socket.once('close', () => clearTimeout(deadline))
  const name = servername?.toLowerCase()
  const context = name === undefined ? undefined : await contextFor(name, answer)
  if (log.enabled) log('%s for %s: %s', protocol, name, context === undefined ? 'none is open' : 'answered')
  if (socket.destroyed) return
  if (context === undefined) {
    socket.end(noProtocol, () => socket.destroy())
    return
  }
  const secure = new TLSSocket(socket, { isServer: true, secureContext: context, ALPNProtocols: [protocol] })
  secure.on('error', (error) => log('%s for %s: %s', protocol, name, error.message))
  // Section 3: when the handshake is done, so is the connection.
  secure.on('secure', () => secure.end())
  secure.resume()
}

const contexts = new WeakMap<KeyPair, SecureContext>()

async function contextFor(name: string, answer: ChallengeAnswer): Promise<SecureContext | undefined> {
  try {
    const pair = await answer(name)
    if (pair === undefined) return undefined
    let context = contexts.get(pair)
    if (context === undefined) {
      // Section 3: TLS 1.2 or later.
      context = createSecureContext({ ...pair, minVersion: 'TLSv1.2' })
      contexts.set(pair, context)
    }
    return context
  } catch (error) {
    log('%s for %s: %o', protocol, name, error)
    return undefined
  }
}
