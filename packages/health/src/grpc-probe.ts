import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import { askHttp2 } from './ask-http2.js'
import { answerLimit, healthRequest, healthStatus } from './grpc-health.js'
import { type GrpcProbeOptions, resolveGrpcProbe } from './health-options.js'
import type { ProbeSeams } from './open-socket.js'
import type { Probe } from './probe.js'

/**
 * Asks a gRPC server by its health protocol (grpc.health.v1.Health/Check): fit is what answers `SERVING`. Each time over an HTTP/2
 * connection of its own. A server without that service, or without the one named, is not fit.
 * @throws TypeError for a wrong option
 */
export function grpcProbe(options: GrpcProbeOptions = {}, seams: ProbeSeams = {}): Probe {
  const { service, host } = resolveGrpcProbe(options, 'grpcProbe')
  const message = healthRequest(service)
  return (target, signal) => {
    const fields = {
      ':method': 'POST',
      ':scheme': target.url.startsWith('https:') ? 'https' : 'http',
      ':path': '/grpc.health.v1.Health/Check',
      ...(host === undefined ? {} : { ':authority': host }),
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'sluice-health',
    }
    return askHttp2(target, fields, message, signal, seams, judge)
  }
}

function judge(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    let head: IncomingHttpHeaders & { ':status'?: number } = {}
    let tail: IncomingHttpHeaders = {}
    stream.on('response', (fields: IncomingHttpHeaders) => {
      head = fields
    })
    stream.on('trailers', (fields: IncomingHttpHeaders) => {
      tail = fields
    })
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > answerLimit) reject(new Error('the answer of the health service is too large'))
      else chunks.push(chunk)
    })
    stream.on('close', () => {
      try {
        if (head[':status'] === undefined) throw new Error('the health service gave no answer')
        if (head[':status'] !== 200) throw new Error(`the health service answered HTTP ${head[':status']}`)
        // An error without a message has its status in the only head there is.
        const status = tail['grpc-status'] ?? head['grpc-status']
        if (status !== '0') throw new Error(failure(status, tail['grpc-message'] ?? head['grpc-message']))
        const found = healthStatus(Buffer.concat(chunks))
        if (found !== 'SERVING') throw new Error(`the health service says ${found}`)
        resolve()
      } catch (error) {
        reject(error)
      }
    })
  })
}

function failure(status: string | string[] | undefined, message: string | string[] | undefined): string {
  const said = message === undefined ? '' : `: ${decoded(String(message)).slice(0, 200)}`
  return `the health service answered gRPC status ${String(status ?? 'none')}${said}`
}

/** Percent-encoded; what isn't well is shown as it came. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
