import type { X509Certificate } from 'node:crypto'
import { ProxyError } from '@sluice/core'
import { getAll, type HeaderList } from '@sluice/headers'
import { clientCert, clientCertChain, parseClientCert } from './client-cert-fields.js'
import type { ClientCertificateSettings } from './client-certificate-options.js'
import { issuerChain } from './issuer-chain.js'
import type { PresentedCertificate } from './presented-certificate.js'
import { xfccElement } from './xfcc.js'

/** Who a client has proved to be, and what targets are told of it. */
export interface ClientIdentity extends PresentedCertificate {
  /** When the certificate counts, in ms since 1970. Without one: always. */
  readonly notBefore: number
  readonly notAfter: number
  /** For the request that goes out. */
  readonly fields: HeaderList
  /** What a proxy behind others adds to their `X-Forwarded-Client-Cert`. */
  readonly element?: string
}

/** The most that targets are sent of a certificate, in characters: many servers take 16 KB of all fields together. */
const longest = 16 * 1024

/** Nobody, for a reason. */
export function nobody(why: string, fields: HeaderList = []): ClientIdentity {
  return { why, notBefore: Number.NEGATIVE_INFINITY, notAfter: Number.POSITIVE_INFINITY, fields }
}

/** Who the other end of a connection has proved to be. It is the same for all requests of it, so it is made once. */
export function identityOf(
  { certificate, why = '' }: PresentedCertificate,
  settings: ClientCertificateSettings,
): ClientIdentity {
  if (certificate === undefined) return nobody(why)
  const { clientCert: whole, xfcc, authorities } = settings
  const chain = authorities.length === 0 ? [] : issuerChain(certificate, authorities)
  const element = xfcc === undefined ? undefined : xfccElement(certificate, chain, xfcc)
  const fields: HeaderList = []
  if (whole) fields.push('Client-Cert', clientCert(certificate))
  if (whole && chain.length > 0) fields.push('Client-Cert-Chain', clientCertChain(chain))
  if (element !== undefined) fields.push('X-Forwarded-Client-Cert', element)
  const size = fields.reduce((sum, text) => sum + text.length, 0)
  if (size > longest)
    return nobody(`the certificate of the client makes fields of ${size} characters: over ${longest}`)
  return { certificate, ...timeOf(certificate), fields, ...(element === undefined ? {} : { element }) }
}

/**
 * Who a trusted proxy says that its client is. The certificate of its own connection is its own.
 * @param own of the connection to the proxy
 * @throws ProxyError http_request_error for a `Client-Cert` that can't be read, or several: nobody knows who is meant
 */
export function vouchedIdentity(
  headers: HeaderList,
  own: ClientIdentity,
  { clientCert: whole, xfcc }: ClientCertificateSettings,
): ClientIdentity {
  const fields: HeaderList = []
  const said = getAll(headers, 'client-cert')
  const certificate = said.length === 1 ? parseClientCert(said[0] as string) : undefined
  if (said.length > 0 && certificate === undefined)
    throw new ProxyError('http_request_error', {
      message: 'a trusted proxy has sent a Client-Cert that is not one certificate',
    })
  if (whole && certificate !== undefined) {
    fields.push('Client-Cert', said[0] as string)
    for (const line of getAll(headers, 'client-cert-chain')) fields.push('Client-Cert-Chain', line)
  }
  if (xfcc !== undefined) {
    const elements = getAll(headers, 'x-forwarded-client-cert')
    if (own.element !== undefined) elements.push(own.element)
    if (elements.length > 0) fields.push('X-Forwarded-Client-Cert', elements.join(','))
  }
  if (certificate === undefined) return nobody('a trusted proxy has sent no Client-Cert', fields)
  return { certificate, ...timeOf(certificate), fields }
}

function timeOf(certificate: X509Certificate): { readonly notBefore: number; readonly notAfter: number } {
  return { notBefore: Date.parse(certificate.validFrom), notAfter: Date.parse(certificate.validTo) }
}

/** Why an identity doesn't count now. A certificate was in its time when it was verified, and its connection may be older than it. */
export function whyNobody({ why, notBefore, notAfter }: ClientIdentity, now: number): string | undefined {
  if (why !== undefined) return why
  if (now > notAfter)
    return `the certificate of the client has expired, at ${new Date(notAfter).toISOString()}`
  return now < notBefore
    ? `the certificate of the client is not valid before ${new Date(notBefore).toISOString()}`
    : undefined
}
