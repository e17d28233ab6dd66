import { type IncomingMessage, request } from 'node:http'
import type { Socket } from 'node:net'
import { AnswerCheck } from './answer-check.js'
import { type HttpProbeOptions, resolveHttpProbe } from './health-options.js'
import { openTcp, openTls, type ProbeSeams } from './open-socket.js'
import type { Probe } from './probe.js'
import { authorityOf } from './target-address.js'

/**
 * Asks a target by HTTP/1.1, each time over a connection of its own: a server that takes no more connections is not fit,
 * though kept ones may still serve. The path is the whole path on the target; the path of its URL isn't put before it.
 * @throws TypeError for a wrong option
 */
export function httpProbe(options: HttpProbeOptions = {}, seams: ProbeSeams = {}): Probe {
  const settings = resolveHttpProbe(options, 'httpProbe')
  const { path, method, host } = settings
  return async (target, signal, declare) => {
    const headers = { host: host ?? authorityOf(target), ...settings.headers }
    // As requests do, or a probe would refuse a certificate that they accept, or accept one that they refuse.
    const socket = target.url.startsWith('https:')
      ? await openTls(target, ['http/1.1'], signal, seams)
      : await openTcp(target, signal, seams)
    try {
      await ask(socket, headers, declare)
    } finally {
      socket.destroy()
    }
  }

  function ask(
    socket: Socket,
    headers: Record<string, string>,
    declare: Parameters<Probe>[2],
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const probe = request({ createConnection: () => socket, path, method, headers })
      probe.on('error', reject)
      // After 101, which nobody asked for, Node ends the connection and tells no error.
      probe.on('close', () => reject(new Error(`${method} ${path} got no answer`)))
      probe.on('response', (response: IncomingMessage) => {
        const check = new AnswerCheck(settings)
        const end = (): void => {
          try {
            check.end()
            resolve()
          } catch (error) {
            reject(error)
          }
          response.destroy()
        }
        response.on('error', reject)
        try {
          if (check.head(response.statusCode ?? 0, declaredIn(response, settings.header), declare)) {
            response.on('data', (chunk: Buffer) => {
              if (check.take(chunk)) end()
            })
            response.on('end', end)
            return
          }
          resolve()
        } catch (error) {
          reject(error)
        }
        // The head has said it all; the body isn't waited for.
        response.destroy()
      })
      probe.end()
    })
  }
}

function declaredIn({ headers }: IncomingMessage, field: string | false): string | string[] | undefined {
  return field === false ? undefined : headers[field.toLowerCase()]
}
