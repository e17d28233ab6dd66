import { openTcp, type ProbeSeams } from './open-socket.js'
import type { Probe } from './probe.js'

/** A target is fit if it takes a connection; nothing is sent. For `unix:` targets that is their socket. */
export function tcpProbe(seams: ProbeSeams = {}): Probe {
  return async (target, signal) => {
    const socket = await openTcp(target, signal, seams)
    socket.destroy()
  }
}
