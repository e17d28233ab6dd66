// Clients that ask a server of the run once at a time and look at what comes, by what they speak.
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:http2'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { buffer } from 'node:stream/consumers'
import { gunzipSync } from 'node:zlib'
import { WebSocket } from 'ws'
import { bodyOf } from './scenarios.mjs'

const patience = 5000

/**
 * @param scenario what it asks
 * @param ca certificate of the server, where it speaks TLS
 * @returns `{ ask(), close() }`; `ask` gives `{ status, body, received, fields, bytes, coding }`, the third as the origin tells it, and from
 *   there on over HTTP/1.1 alone: of a body that was coded the bytes that came, and the coding
 */
export function clientOf(address, scenario, ca) {
  return clients[scenario.front](address, scenario, ca)
}

const clients = {
  http: (address, scenario) => http(address, scenario, { send: request, Agent }),
  https: (address, scenario, ca) => http(address, scenario, { send: httpsRequest, Agent: HttpsAgent, ca }),
  h2,
  websocket,
}

function http(address, { method, up, kept, fields }, { send, Agent, ca }) {
  // Without keepAlive the agent says Connection: close.
  const agent = new Agent({ keepAlive: kept, maxSockets: 1, ca })
  const headers = up > 0 ? { ...fields, 'Content-Type': 'text/plain', 'Content-Length': up } : fields
  return {
    ask: () =>
      new Promise((resolve, reject) => {
        const req = send(address, { method, headers, agent, timeout: patience }, (res) => {
          const { statusCode: status, headers } = res
          buffer(res)
            .then((bytes) => {
              const coding = headers['content-encoding']
              const body = (coding === 'gzip' ? gunzipSync(bytes) : bytes).toString('latin1')
              const received = Number(headers.received)
              resolve({ status, body, received, fields: headers, bytes: bytes.length, coding })
            })
            .catch(reject)
        })
        req.on('timeout', () => req.destroy(new Error('answers nothing')))
        req.on('error', reject).end(bodyOf(up))
      }),
    close: () => agent.destroy(),
  }
}

function h2(address, { method }, ca) {
  const session = connect(address, { ca })
  // What breaks it ends the requests on it too, and they tell.
  session.on('error', () => {})
  return {
    async ask() {
      const stream = session.request({ ':method': method, ':path': '/' })
      stream.setTimeout(patience, () => stream.destroy(new Error('answers nothing')))
      const body = buffer(stream)
      const [[headers], bytes] = await Promise.all([once(stream, 'response'), body])
      return { status: headers[':status'], body: bytes.toString('latin1') }
    },
    close: () => session.destroy(),
  }
}

/** The status is that of the answers, not of the handshake: a handshake that is refused is an error of the first message. */
function websocket(address, { up }) {
  const socket = new WebSocket(address, { perMessageDeflate: false, handshakeTimeout: patience })
  const opened = once(socket, 'open')
  opened.catch(() => {})
  return {
    async ask() {
      await opened
      const answered = once(socket, 'message', { signal: AbortSignal.timeout(patience) })
      socket.send(bodyOf(up))
      const [data] = await answered
      return { status: 200, body: data.toString('latin1') }
    },
    close: () => socket.terminate(),
  }
}
