import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { pinFault, type Target, tlsOptions } from '@sluice/upstream'
import { AnswerCheck } from './answer-check.js'
import { type HttpProbeOptions, resolveHttpProbe } from './health-options.js'
import type { Probe } from './probe.js'
import { targetAddress } from './target-address.js'

/**
 * Asks a target by HTTP/1.1, each time over a connection of its own: a server that takes no more connections is not fit,
 * though kept ones may still serve. The path is the whole path on the target; the path of its URL isn't put before it.
 * @throws TypeError for a wrong option
 */
export function httpProbe(options: HttpProbeOptions = {}): Probe {
  const settings = resolveHttpProbe(options, 'httpProbe')
  const { path, method, host } = settings
  const headers = host === undefined ? settings.headers : { ...settings.headers, host }
  return (target, signal, declare) =>
    new Promise((resolve, reject) => {
      const send = target.url.startsWith('https:') ? httpsRequest : httpRequest
      const probe = send({ ...connectionTo(target), path, method, headers, agent: false, signal })
      probe.on('error', reject)
      probe.on('socket', (socket) => {
        socket.once('secureConnect', () => {
          const fault = pinFault(target, socket as TLSSocket)
          if (fault !== undefined) probe.destroy(fault)
        })
      })
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

function declaredIn({ headers }: IncomingMessage, field: string | false): string | string[] | undefined {
  return field === false ? undefined : headers[field.toLowerCase()]
}

function connectionTo(target: Target): RequestOptions {
  const address = targetAddress(target)
  if ('path' in address) return { socketPath: address.path }
  // As requests do, or a probe would refuse a certificate that they accept, or accept one that they refuse.
  return target.url.startsWith('https:')
    ? { protocol: 'https:', ...address, ...tlsOptions(target, ['http/1.1']) }
    : { protocol: 'http:', ...address }
}
