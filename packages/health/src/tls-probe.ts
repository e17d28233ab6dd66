import { openTls, type ProbeSeams } from './open-socket.js'
import type { Probe } from './probe.js'

/**
 * A target is fit if a TLS handshake with it succeeds under its `tls` settings: server name, authorities, pins. Nothing is sent.
 * That it wants another client certificate a target of TLS 1.3 says only when for us the handshake is over (RFC 8446 section
 * 4.4.2.4): `httpProbe` finds that, this doesn't.
 */
export function tlsProbe(seams: ProbeSeams = {}): Probe {
  return async (target, signal) => {
    const socket = await openTls(target, ['h2', 'http/1.1'], signal, seams)
    socket.destroy()
  }
}
