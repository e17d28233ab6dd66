import { type ConnectionOptions, connect } from 'node:tls'

/** What a client of TLS has seen of one connection. */
export interface TlsVisit {
  readonly protocol: string | null
  readonly cipher: string
  /** The subject of the server's certificate; a resumed session shows none. */
  readonly name: string | undefined
  readonly alpn: string | false | null
  readonly resumed: boolean
  /** The last ticket: a session to come back with. */
  readonly session: Buffer | undefined
  /** All that the server has sent. */
  readonly text: string
}

/**
 * Connects to 127.0.0.1 and reads until the server ends the connection.
 * Rejects if the handshake fails, or if there is an end and not a byte before it: in TLS 1.3 a server says no to a client's
 * certificate after the client's own handshake is done.
 */
export function tlsVisit(port: number, options: ConnectionOptions): Promise<TlsVisit> {
  const socket = connect({ port, host: '127.0.0.1', ...options })
  socket.setEncoding('latin1')
  let text = ''
  let session: Buffer | undefined
  let seen: Omit<TlsVisit, 'text' | 'session'> | undefined
  socket.on('data', (chunk: string) => {
    text += chunk
  })
  socket.on('session', (ticket) => {
    session = ticket
  })
  socket.on('secureConnect', () => {
    // In TLS 1.2 no event tells of a ticket that was renewed: it came within the handshake.
    if (socket.getProtocol() === 'TLSv1.2') session = socket.getSession()
    seen = {
      protocol: socket.getProtocol(),
      cipher: socket.getCipher().name,
      name: socket.getPeerX509Certificate()?.subject,
      alpn: socket.alpnProtocol,
      resumed: socket.isSessionReused(),
    }
  })
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', () => {
      if (seen === undefined || text === '') reject(new Error('closed without a word'))
      else resolve({ ...seen, session, text })
    })
  })
}
