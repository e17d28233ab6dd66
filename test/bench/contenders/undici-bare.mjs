// The yardstick: undici's dispatch relayed by hand, with no layer in between, as somebody would write it who knows both
// sides. It does what a correct relay can't leave out: drops hop-by-hop fields, follows backpressure, ends the target's
// request when the client leaves, and cuts the client's connection when an answer breaks off.
import { Pool } from 'undici'
import { serve } from '../lib/announce.mjs'
import { createFront } from '../lib/front.mjs'
import { origin, scenario } from '../lib/told.mjs'

const pool = new Pool(origin, { connections: 128 })

/** A flat list without the fields that are for one hop alone (RFC 9110 section 7.6.1). */
function endToEnd(raw) {
  const list = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toString('latin1')
    switch (name.toLowerCase()) {
      case 'connection':
      case 'keep-alive':
      case 'proxy-connection':
      case 'transfer-encoding':
      case 'te':
      case 'trailer':
      case 'upgrade':
      case 'expect':
        continue
      default:
        list.push(name, raw[i + 1].toString('latin1'))
    }
  }
  return list
}

/** The list that an HTTP/2 client sends, with its authority as Host and without the other pseudo-header fields. */
function fromHttp2(raw) {
  const list = []
  for (let i = 0; i < raw.length; i += 2) {
    if (raw[i] === ':authority') list.push('host', raw[i + 1])
    else if (raw[i][0] !== ':') list.push(raw[i], raw[i + 1])
  }
  return endToEnd(list)
}

const fieldsOf = scenario.front === 'h2' ? fromHttp2 : endToEnd

class Relay {
  constructor(res) {
    this.res = res
    res.on('close', () => res.writableEnded || this.abort?.(new Error('the client left')))
  }

  onConnect(abort) {
    this.abort = abort
    if (this.res.destroyed) abort(new Error('the client left'))
  }

  onHeaders(status, raw, resume) {
    if (status < 200) return true
    this.resume = resume
    this.res.writeHead(status, endToEnd(raw))
    return true
  }

  onData(chunk) {
    if (this.res.write(chunk)) return true
    this.res.once('drain', this.resume)
    return false
  }

  onComplete() {
    this.res.end()
  }

  onError() {
    if (this.res.headersSent) this.res.destroy()
    else this.res.writeHead(502).end()
  }
}

serve(
  createFront((req, res) => {
    const { method, url: path, headers } = req
    const body = 'content-length' in headers || 'transfer-encoding' in headers ? req : null
    pool.dispatch({ method, path, headers: fieldsOf(req.rawHeaders), body }, new Relay(res))
  }),
)
