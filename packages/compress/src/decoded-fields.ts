import { get, type HeaderList } from '@sluice/headers'
import { saysNoTransform } from './worth.js'

/** Digests of the coded bytes (RFC 9530, RFC 3230, RFC 1864): of the representation, too, which has the coding. */
const digests: ReadonlySet<string> = new Set(['content-md5', 'digest', 'content-digest', 'repr-digest'])

/** What else tells of the coded bytes (RFC 9110 sections 8.4, 8.6 and 14.3). */
const ofCoded: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-length',
  'accept-ranges',
  ...digests,
])

/**
 * The fields of a message whose body is decoded, as a new list: what told of the coded bytes is gone, and a strong `ETag`, which named
 * them, is a weak one (RFC 9110 section 8.8.3.3).
 */
export function decodedFields(headers: HeaderList): HeaderList {
  const left = without(headers, ofCoded)
  for (let i = 0; i < left.length; i += 2) {
    const value = left[i + 1] as string
    if ((left[i] as string).toLowerCase() === 'etag' && value.startsWith('"')) left[i + 1] = `W/${value}`
  }
  return left
}

/** The trailers of a message whose body is coded or decoded, as a new list. */
export function withoutDigests(trailers: HeaderList): HeaderList {
  return without(trailers, digests)
}

/** The same of trailers that are read after the body. */
export function readWithoutDigests(trailers: () => HeaderList | undefined): () => HeaderList | undefined {
  return () => {
    const fields = trailers()
    return fields === undefined ? undefined : withoutDigests(fields)
  }
}

/** Why the body of a message stays coded, whoever can't read it. */
export function whyLeft(headers: HeaderList): 'part' | 'no-transform' | undefined {
  // A part of coded bytes can't be decoded without those before it (RFC 9110 sections 14.4 and 14.5).
  if (get(headers, 'content-range') !== undefined) return 'part'
  return saysNoTransform(headers) ? 'no-transform' : undefined
}

function without(headers: HeaderList, names: ReadonlySet<string>): HeaderList {
  const left: HeaderList = []
  for (let i = 0; i < headers.length; i += 2)
    if (!names.has((headers[i] as string).toLowerCase()))
      left.push(headers[i] as string, headers[i + 1] as string)
  return left
}
