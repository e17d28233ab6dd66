import { most } from './mutator.mjs'

/** Writes down what a parser tells, and what it may not. */
export class Recorder {
  /** What was wrong with an event, if anything. */
  fault
  /** Informational responses: status, fields, status, … */
  informational = []
  status = 0
  headers
  framing
  length
  keepAlive = false
  size = 0
  ended = false
  trailers
  body = Buffer.alloc(most)
  #bytes
  #from = 0
  #until = 0

  constructor(bytes) {
    this.#bytes = bytes
  }

  begin() {
    this.fault = undefined
    this.informational.length = 0
    this.status = 0
    this.headers = this.framing = this.length = this.trailers = undefined
    this.keepAlive = this.ended = false
    this.size = 0
  }

  /** The parser is given these bytes and no others. */
  gives(from, until) {
    this.#from = from
    this.#until = until
  }

  informed(status, headers) {
    if (this.status !== 0 || this.ended) this.fault = 'an informational response behind the answer'
    this.informational.push(status, headers)
  }

  answered(head) {
    if (this.status !== 0 || this.ended) this.fault = 'a second answer'
    this.status = head.status
    this.headers = head.headers
    this.framing = head.framing
    this.length = head.length
    this.keepAlive = head.keepAlive
  }

  data(from, to) {
    if (this.status === 0 || this.ended) this.fault = 'data outside of a reply'
    if (!(from < to && from >= this.#from && to <= this.#until)) {
      this.fault = `data from ${from} to ${to}, and what was given goes from ${this.#from} to ${this.#until}`
      return
    }
    this.#bytes.copy(this.body, this.size, from, to)
    this.size += to - from
  }

  complete(trailers) {
    if (this.status === 0) this.fault = 'an end without an answer'
    if (this.ended) this.fault = 'a second end'
    this.ended = true
    this.trailers = trailers
  }

  /** What it says less than, or other than, `all`, which may say more; `undefined` if nothing. */
  differs(all) {
    if (this.informational.length > all.informational.length) return 'an informational response'
    for (let i = 0; i < this.informational.length; i += 2) {
      if (this.informational[i] !== all.informational[i]) return 'the status of an informational response'
      if (!sameList(this.informational[i + 1], all.informational[i + 1]))
        return 'fields of an informational response'
    }
    if (this.status === 0) return undefined
    if (this.status !== all.status) return 'the status'
    if (!sameList(this.headers, all.headers)) return 'the fields'
    if (this.framing !== all.framing || this.length !== all.length || this.keepAlive !== all.keepAlive)
      return 'the framing'
    if (this.size > all.size || this.body.compare(all.body, 0, this.size, 0, this.size) !== 0)
      return 'the body'
    if (this.ended && !all.ended) return 'the end'
    if (this.ended && !sameList(this.trailers, all.trailers)) return 'the trailers'
    return undefined
  }
}

function sameList(one, other) {
  if (one === other) return true
  if (one === undefined || other === undefined || one.length !== other.length) return false
  for (let i = 0; i < one.length; i++) if (one[i] !== other[i]) return false
  return true
}
