import { createHash, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { fault } from '@sluice/options'
import { pemBlocks } from './pem.js'

/** Whether clients are asked for a certificate, and must have one. */
export type ClientMode = 'none' | 'optional' | 'required'

/** Text or bytes of PEM, with any number of blocks, or several of them. */
export type Pem = string | Buffer | readonly (string | Buffer)[]

/** Single blocks of PEM, as every context takes them that may serve a client: a connection has these from the context that SNI gives. */
export interface ClientAuthorities {
  readonly ca?: string[]
  readonly crl?: string[]
}

/** Whose client certificates are good. */
export interface ClientTrust {
  /** Certificates of the authorities that issue them. */
  readonly ca?: Pem | undefined
  /** Revocation lists: one of every authority in a chain, or no certificate that it has issued is good. */
  readonly crl?: Pem | undefined
}

/**
 * Reads them into single blocks: of several lists in one text, Node would take the first, and of what is no PEM at all say nothing.
 * @throws TypeError that names what is wrong below `path`
 */
export function readClientTrust(mode: ClientMode, { ca, crl }: ClientTrust, path: string): ClientAuthorities {
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`)
  if (mode === 'none') {
    for (const [name, value] of Object.entries({ ca, crl }))
      if (value !== undefined)
        throw new TypeError(fault(at(name), 'PEM', "nothing without client: 'optional' or 'required'"))
    return {}
  }
  // Without it Node would trust every public authority: whoever has a web site could be a client.
  if (ca === undefined)
    throw new TypeError(
      fault(
        at('ca'),
        'nothing',
        `the authorities of client certificates (PEM): client: '${mode}' requires it`,
      ),
    )
  const lists = crl === undefined ? undefined : readBlocks(crl, 'X509 CRL', isList, at('crl'))
  return {
    ca: readBlocks(ca, 'CERTIFICATE', (block) => new X509Certificate(block), at('ca')),
    ...(lists === undefined ? {} : { crl: lists }),
  }
}

/** A text that stands for whom a server lets in: what was verified under one policy must not be believed under another. */
export function policyOf(mode: ClientMode, { ca = [], crl = [] }: ClientAuthorities): string {
  if (mode === 'none') return mode
  const hash = createHash('sha256')
  // Lines may be broken in many ways, and lists come in any order: only the bytes count.
  for (const block of [...ca.map(bytesOf).sort(), '', ...crl.map(bytesOf).sort()]) hash.update(`${block}\n`)
  return `${mode} ${hash.digest('base64url')}`
}

function bytesOf(block: string): string {
  return block.replaceAll(/-----[A-Z0-9 ]+-----|\s+/g, '')
}

function isList(block: string): void {
  createSecureContext({ ca: [], crl: [block] })
}

function readBlocks(pem: Pem, label: string, check: (block: string) => void, path: string): string[] {
  const takes = `PEM of ${label}`
  const texts = typeof pem === 'string' || Buffer.isBuffer(pem) ? [pem] : pem
  return texts.flatMap((text, i) => {
    const where = texts === pem ? `${path}[${i}]` : path
    const found = pemBlocks(text.toString('latin1')).filter((block) => block.label === label)
    if (found.length === 0) throw new TypeError(fault(where, 'something else', takes))
    return found.map((block) => {
      try {
        check(block.text)
      } catch (error) {
        throw new TypeError(fault(where, `what can't be read (${(error as Error).message})`, takes))
      }
      return block.text
    })
  })
}
