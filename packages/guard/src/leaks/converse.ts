import { connect as connectPlain, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { LeakRequest } from './leak-requests.js'
import { readAnswers } from './read-answers.js'

/** Where an app listens. */
export interface Place {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  /** For the name that TLS asks for. */
  readonly serverName: string
}

/** A connection to a place. Whom its certificate names is nobody's concern here. */
export function open({ host, port, tls, serverName }: Place, protocols = ['http/1.1']): Socket {
  if (!tls) return connectPlain({ host, port })
  return connectTls({
    host,
    port,
    servername: serverName,
    rejectUnauthorized: false,
    ALPNProtocols: protocols,
  })
}

/** Bytes that are read of one answer at most. */
const most = 16 * 1024 * 1024
/** Longer ones end with their connection. */
const lookedAt = 1024 * 1024

function isAnswered(bytes: Buffer, method: string): boolean {
  const last = readAnswers(bytes, method).list.at(-1)
  return last?.whole === true && (last.status === 101 || last.status >= 200)
}

/**
 * Sends bytes on a connection of its own and gives what comes back, until the other end closes, or for so long. Never rejects: no
 * connection, no bytes.
 */
export function converse(
  place: Place,
  { bytes, cut = false, method }: LeakRequest,
  ms: number,
): Promise<Buffer> {
  return new Promise((resolve) => {
    const parts: Buffer[] = []
    let size = 0
    const socket = open(place)
    const timer = setTimeout(() => socket.destroy(), ms)
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(Buffer.concat(parts))
    })
    socket.on('data', (part: Buffer) => {
      parts.push(part)
      size += part.length
      if (size > most) socket.destroy()
      // It says all that it has still to say, and closes: also what it has taken for a second request, or in another protocol.
      else if (size < lookedAt && isAnswered(Buffer.concat(parts), method)) socket.end()
    })
    socket.write(bytes, 'latin1')
    if (cut) socket.end()
  })
}
