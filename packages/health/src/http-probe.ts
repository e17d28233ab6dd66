import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { pinFault, type Target, tlsOptions } from '@sluice/upstream'
import { type HealthOptions, resolveHealth, type StatusRange } from './health-options.js'
import type { Probe } from './probe.js'

/**
 * Asks a target by HTTP, each time over a connection of its own: a server that takes no more connections is not fit,
 * though kept ones may still serve. The path is the whole path on the target; the path of its URL isn't put before it.
 * @throws TypeError for a wrong option
 */
export function httpProbe(options: HealthOptions = {}): Probe {
  const { path, method, host, status } = resolveHealth(options)
  return (target, signal) =>
    new Promise((resolve, reject) => {
      const headers: Record<string, string> = { 'user-agent': 'sluice-health' }
      if (host !== undefined) headers['host'] = host
      const send = target.url.startsWith('https:') ? httpsRequest : httpRequest
      const probe = send({ ...addressOf(target), path, method, headers, agent: false, signal })
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
        const { statusCode = 0 } = response
        // The head has said it all; the body isn't waited for.
        response.on('error', () => {})
        response.destroy()
        if (status.some((range) => holds(range, statusCode))) resolve()
        else reject(new Error(`${method} ${path} answered ${statusCode}`))
      })
      probe.end()
    })
}

function addressOf(target: Target): RequestOptions {
  if (target.url.startsWith('unix:')) return { socketPath: target.url.slice('unix:'.length) }
  const { hostname, port, protocol } = new URL(target.url)
  const where = { protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port }
  // As requests do, or a probe would refuse a certificate that they accept, or accept one that they refuse.
  return protocol === 'https:' ? { ...where, ...tlsOptions(target, ['http/1.1']) } : where
}

function holds(range: StatusRange, status: number): boolean {
  if (typeof range === 'number') return range === status
  const [from, to] = range.split('-').map(Number)
  return status >= (from as number) && status <= (to as number)
}
