import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

// DER by hand: what is tested reads it by a library, and should not be read by what wrote it.

/** One value of DER. */
export function der(tag: number, ...contents: readonly (Uint8Array | string)[]): Buffer {
  const content = Buffer.concat(
    contents.map((each) => (typeof each === 'string' ? Buffer.from(each, 'latin1') : each)),
  )
  const { length } = content
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

/** What a constructed value of DER contains, each whole. */
function insideOf(value: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = contentOf(value).byteOffset - value.byteOffset; at < value.length; ) {
    const rest = value.subarray(at)
    const content = contentOf(rest)
    const length = content.byteOffset - rest.byteOffset + content.length
    found.push(rest.subarray(0, length))
    at += length
  }
  return found
}

function contentOf(value: Buffer): Buffer {
  const first = value[1] as number
  const bytes = first < 128 ? 0 : first - 128
  const length = bytes === 0 ? first : value.readUIntBE(2, bytes)
  return value.subarray(2 + bytes, 2 + bytes + length)
}

const sequence = (...contents: readonly Uint8Array[]): Buffer => der(0x30, ...contents)
const time = (at: number): Buffer => der(0x18, `${new Date(at).toISOString().replaceAll(/[-:T]|\.\d+/g, '')}`)
const oids = {
  basic: '06092b0601050507300101',
  ecdsaSha256: '06082a8648ce3d040302',
  rsaSha256: '06092a864886f70d01010b',
  rsaSha1: '06092a864886f70d010105',
} as const
const oid = (name: keyof typeof oids): Buffer => Buffer.from(oids[name], 'hex')

/** Who signs: a certificate (DER) and its private key (PEM). */
export interface OcspSigner {
  readonly der: Buffer
  readonly key: string
}

/** An answer, and in what it is to be other than a good one. */
export interface OcspAnswerOptions {
  readonly status?: 'good' | 'revoked' | 'unknown'
  /** ms since 1970. Default an hour ago. */
  readonly thisUpdate?: number
  /** Default in a day; `null`: it isn't said. */
  readonly nextUpdate?: number | null
  /** Who the answer says that it is of. Default the issuer. */
  readonly by?: OcspSigner
  /** Whose key signs it. Default that one's. */
  readonly signedBy?: OcspSigner
  /** Certificates along with it, in DER. */
  readonly along?: readonly Buffer[]
  readonly named?: 'name' | 'key'
  /** What it is about, as in a question. Default the certificate that was asked for. */
  readonly about?: Buffer
  readonly sha1?: boolean
  /** Of the whole. Default 0: successful. */
  readonly code?: number
}

/** Answers a question. */
export function ocspAnswerOf(question: Buffer, issuer: OcspSigner, options: OcspAnswerOptions = {}): Buffer {
  const {
    status = 'good',
    by = issuer,
    signedBy = by,
    along = [],
    named = 'name',
    about = question,
    code = 0,
  } = options
  const { thisUpdate = Date.now() - 3_600_000, nextUpdate = Date.now() + 86_400_000 } = options
  if (code !== 0) return sequence(der(0x0a, Buffer.from([code])))
  const statuses = {
    good: der(0x80),
    revoked: der(0xa1, time(thisUpdate - 60_000), der(0xa0, der(0x0a, Buffer.from([1])))),
    unknown: der(0x82),
  }
  const until = nextUpdate === null ? [] : [der(0xa0, time(nextUpdate))]
  const single = sequence(certIdOf(about), statuses[status], time(thisUpdate), ...until)
  const parts = insideOf(insideOf(by.der)[0] as Buffer)
  const [, , , , , subject, key] = parts as [Buffer, Buffer, Buffer, Buffer, Buffer, Buffer, Buffer]
  const bits = contentOf(insideOf(key)[1] as Buffer).subarray(1)
  const byKey = der(0xa2, der(0x04, createHash('sha1').update(bits).digest()))
  const data = sequence(named === 'key' ? byKey : der(0xa1, subject), time(thisUpdate), sequence(single))
  const privateKey = createPrivateKey(signedBy.key)
  const rsa = createPublicKey(privateKey).asymmetricKeyType === 'rsa'
  const algorithm = rsa
    ? sequence(oid(options.sha1 ? 'rsaSha1' : 'rsaSha256'), der(0x05))
    : sequence(oid('ecdsaSha256'))
  const signature = der(0x03, Buffer.from([0]), sign(options.sha1 ? 'sha1' : 'sha256', data, privateKey))
  const certificates = along.length === 0 ? [] : [der(0xa0, sequence(...along))]
  const basic = sequence(data, algorithm, signature, ...certificates)
  return sequence(der(0x0a, Buffer.from([0])), der(0xa0, sequence(oid('basic'), der(0x04, basic))))
}

/** By what a question names its certificate. */
function certIdOf(question: Buffer): Buffer {
  const list = insideOf(insideOf(question)[0] as Buffer)[0] as Buffer
  return insideOf(insideOf(list)[0] as Buffer)[0] as Buffer
}

/** What a responder does with a question. */
export type OcspBehaviour = (
  question: Buffer,
  response: ServerResponse,
  request: IncomingMessage,
) => Buffer | undefined

/** A responder over HTTP that does what a test says. */
export interface OcspResponder extends AsyncDisposable {
  readonly url: string
  /** Questions so far. */
  readonly asked: readonly { readonly method: string; readonly question: Buffer }[]
  behave(as: OcspBehaviour): void
  close(): Promise<void>
}

export async function ocspResponder(as: OcspBehaviour): Promise<OcspResponder> {
  let behaviour = as
  const asked: { method: string; question: Buffer }[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '' } = request
      const inUrl = decodeURIComponent(url.slice(url.lastIndexOf('/') + 1))
      const question = method === 'GET' ? Buffer.from(inUrl, 'base64') : Buffer.concat(chunks)
      asked.push({ method, question })
      const answer = behaviour(question, response, request)
      if (answer !== undefined)
        response.writeHead(200, { 'content-type': 'application/ocsp-response' }).end(answer)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const close = async (): Promise<void> => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked,
    behave: (other) => {
      behaviour = other
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}
