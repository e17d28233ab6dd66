import type { ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import { AnswerCheck } from './answer-check.js'
import { askHttp2 } from './ask-http2.js'
import { type HttpProbeOptions, type ProbeSettings, resolveHttpProbe } from './health-options.js'
import type { ProbeSeams } from './open-socket.js'
import type { Probe } from './probe.js'

/**
 * Asks a target by HTTP/2, each time over a connection of its own: one that `https:` targets choose by ALPN, without TLS by prior
 * knowledge. Options are those of `httpProbe`.
 * @throws TypeError for a wrong option
 */
export function http2Probe(options: HttpProbeOptions = {}, seams: ProbeSeams = {}): Probe {
  const settings = resolveHttpProbe(options, 'http2Probe')
  const { path, method, host, headers } = settings
  return (target, signal, declare) => {
    const fields = {
      ...headers,
      ':method': method,
      ':scheme': target.url.startsWith('https:') ? 'https' : 'http',
      ':path': path,
      ...(host === undefined ? {} : { ':authority': host }),
    }
    return askHttp2(target, fields, undefined, signal, seams, (stream) => judge(stream, settings, declare))
  }
}

function judge(
  stream: ClientHttp2Stream,
  settings: ProbeSettings,
  declare: Parameters<Probe>[2],
): Promise<void> {
  return new Promise((resolve, reject) => {
    const check = new AnswerCheck(settings)
    const end = (): void => {
      try {
        check.end()
        resolve()
      } catch (error) {
        reject(error)
      }
    }
    stream.on('close', () => reject(new Error(`${settings.method} ${settings.path} got no answer`)))
    stream.on('response', (fields: IncomingHttpHeaders & { ':status'?: number }) => {
      const declared = settings.header === false ? undefined : fields[settings.header.toLowerCase()]
      try {
        if (!check.head(fields[':status'] ?? 0, declared, declare)) return resolve()
      } catch (error) {
        return reject(error)
      }
      stream.on('data', (chunk: Buffer) => {
        if (check.take(chunk)) end()
      })
      stream.on('end', end)
    })
  })
}
