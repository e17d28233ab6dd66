import type { Socket } from 'node:net'
import { PassThrough, Writable } from 'node:stream'
import type { ProxyError } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { cleanTrailers, WireUpload } from './wire-upload.js'

function uploading(length: number | undefined): {
  upload: WireUpload
  /** What was written, once the turn of the event loop is over that gathers it. */
  text: () => Promise<string>
  heard: string[]
} {
  const parts: Buffer[] = []
  const socket = new Writable({
    write(chunk: Buffer, _encoding, done) {
      parts.push(chunk)
      done()
    },
  })
  const heard: string[] = []
  const upload = new WireUpload(socket as Socket, length, {
    uploaded: () => heard.push('whole'),
    uploadFailed: (error) => heard.push((error as ProxyError).code),
    uploadMoved: () => {},
  })
  const text = async (): Promise<string> => {
    await new Promise((resolve) => setImmediate(resolve))
    return Buffer.concat(parts).toString('latin1')
  }
  return { upload, text, heard }
}

describe('WireUpload', () => {
  it('never waits for a drain that the socket would not tell of, however large its own limit is', async () => {
    const socket = new Writable({ highWaterMark: 1024 * 1024, write: (_chunk, _encoding, done) => done() })
    const drained = new Promise((resolve) => socket.on('drain', resolve))
    const owner = { uploaded: () => {}, uploadFailed: () => {}, uploadMoved: () => {} }
    const upload = new WireUpload(socket as Socket, 2 * 1024 * 1024, owner)
    const part = new Uint8Array(512 * 1024)
    expect(upload.write(part)).toBe(true)
    expect(upload.write(part)).toBe(false)
    await drained
  })
})

describe('cleanTrailers', () => {
  it.each([
    ['framing', ['Content-Length', '3', 'Transfer-Encoding', 'chunked', 'Trailer', 'a']],
    ['of this hop', ['Connection', 'x', 'Keep-Alive', 'y', 'Upgrade', 'z']],
    ['nominated by Connection', ['Connection', 'x-a', 'X-A', 'y']],
    ['routing', ['Host', 'x', 'Max-Forwards', '1', 'Expect', '100-continue']],
    ['who the client is', ['Forwarded', 'for=x', 'X-Forwarded-For', '1.2.3.4', 'x-forwarded-proto', 'https']],
    ['what the client has proved', ['Client-Cert', ':AA==:', 'client-cert-chain', ':AA==:']],
    ['authentication', ['Authorization', 'x', 'Cookie', 'a=b', 'Set-Cookie', 'a=b', 'WWW-Authenticate', 'x']],
    [
      'conditions and ranges',
      ['If-Match', '"a"', 'if-none-match', '*', 'Range', 'bytes=0-', 'If-Range', '"a"'],
    ],
    ['what the content is', ['Content-Type', 'x', 'Content-Encoding', 'gzip', 'Content-Range', 'x']],
    ['control of caches', ['Cache-Control', 'x', 'Age', '1', 'Expires', 'x', 'Vary', '*', 'Date', 'x']],
  ])('drops %s (RFC 9110 section 6.5.1)', (_, fields) => {
    expect(cleanTrailers([...fields, 'X-Kept', '1'], true)).toEqual(['X-Kept', '1'])
    expect(cleanTrailers([...fields, 'X-Kept', '1'], false)).toEqual(['X-Kept', '1'])
  })

  it('keeps the rest as it is', () => {
    const fields = [
      'grpc-status',
      '0',
      'ETag',
      '"a"',
      'Server-Timing',
      'a',
      'server-timing',
      'b',
      'Repr-Digest',
      'x',
    ]
    expect(cleanTrailers(fields, true)).toEqual(fields)
  })
})

describe('trailers of a request', () => {
  it('stand behind the last chunk', async () => {
    const { upload, text, heard } = uploading(undefined)
    upload.write(Buffer.from('hello, hello, hello'))
    upload.write(Buffer.alloc(0))
    upload.end(['X-A', '1', 'x-b', '\xe9'])
    expect(await text()).toBe('13\r\nhello, hello, hello\r\n0\r\nX-A: 1\r\nx-b: \xe9\r\n\r\n')
    expect(heard).toEqual(['whole'])
  })

  it('are read after the end where the body itself brings none', () => {
    const socket = new PassThrough()
    const owner = { uploaded() {}, uploadFailed() {}, uploadMoved() {} }
    const upload = new WireUpload(socket as unknown as Socket, undefined, owner, () => ['X-Late', '1'])
    upload.end()
    expect(String(socket.read())).toBe('0\r\nX-Late: 1\r\n\r\n')
  })

  it('that would end the request, or be another field, are dropped', async () => {
    for (const [name, value] of [
      ['a', 'b\r\n\r\nGET / HTTP/1.1'],
      ['a', 'b\nc'],
      ['a', 'b\0'],
      ['a', '€\u010a'],
      ['a\r\nb', 'c'],
      ['a b', 'c'],
      ['a: b', 'c'],
      ['a ', 'c'],
      ['', 'c'],
      ['é', 'c'],
    ]) {
      const { upload, text } = uploading(undefined)
      upload.end([name as string, value as string, 'X', 'y'])
      expect(await text()).toBe('0\r\nX: y\r\n\r\n')
    }
  })
})

describe('a body with a length', () => {
  it('is sent as it is', async () => {
    const { upload, text, heard } = uploading(4)
    upload.write(Buffer.from('ab'))
    upload.write(Buffer.from('cd'))
    upload.end(['X', 'y'])
    expect([await text(), heard]).toEqual(['abcd', ['whole']])
  })

  it('that turns out longer never gets there, or the rest would be the next request', async () => {
    const { upload, text, heard } = uploading(4)
    upload.write(Buffer.from('ab'))
    expect(upload.write(Buffer.from('cde'))).toBe(false)
    upload.write(Buffer.from('f'))
    upload.end()
    expect([await text(), heard]).toEqual(['ab', ['http_request_error']])
  })

  it('that turns out shorter fails', () => {
    const { upload, heard } = uploading(4)
    upload.write(Buffer.from('ab'))
    upload.end()
    expect(heard).toEqual(['http_request_error'])
  })
})
