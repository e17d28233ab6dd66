/**
 * The messages of grpc.health.v1.Health/Check, by hand: two of one field each.
 * https://github.com/grpc/grpc/blob/master/doc/health-checking.md, frames after PROTOCOL-HTTP2.md there.
 *
 * message HealthCheckRequest { string service = 1; }
 * message HealthCheckResponse { ServingStatus status = 1; }   UNKNOWN 0, SERVING 1, NOT_SERVING 2, SERVICE_UNKNOWN 3
 */

/** The answer is one field: whatever is larger is no answer to this. */
export const answerLimit = 4096

const serving = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']

/** A request in its frame: compressed flag, length, message. */
export function healthRequest(service: string): Buffer {
  const name = Buffer.from(service)
  const field = name.length === 0 ? [] : [0x0a, ...varint(name.length)]
  const message = Buffer.concat([Buffer.from(field), name])
  const frame = Buffer.alloc(5)
  frame.writeUInt32BE(message.length, 1)
  return Buffer.concat([frame, message])
}

/**
 * The name of the status in an answer's frame.
 * @throws Error for what is no such answer
 */
export function healthStatus(bytes: Buffer): string {
  if (bytes.length < 5) throw new Error('the answer of the health service has no message')
  if (bytes[0] !== 0) throw new Error('the answer of the health service is compressed')
  const message = bytes.subarray(5)
  if (bytes.readUInt32BE(1) !== message.length)
    throw new Error('the answer of the health service is not one whole message')
  const status = statusIn(message)
  return serving[status] ?? `status ${status}`
}

/** Fields that are not known are passed over, as any reader of protobuf does; the last of a field counts. */
function statusIn(message: Buffer): number {
  let status = 0
  let at = 0
  const number = (): number => {
    let value = 0
    // 64 bits in groups of seven; past 2^53 nothing is meant by it here.
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message[at++]
      if (byte === undefined) break
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new Error('the answer of the health service is no protobuf')
  }
  while (at < message.length) {
    const key = number()
    const kind = key % 8
    if (kind === 0) {
      const value = number()
      if (key === 8) status = value
    } else if (kind === 2) {
      const length = number()
      at += length
    } else if (kind === 1) at += 8
    else if (kind === 5) at += 4
    else throw new Error('the answer of the health service is no protobuf')
  }
  if (at > message.length) throw new Error('the answer of the health service is no protobuf')
  return status
}

function varint(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  return [...bytes, rest]
}
