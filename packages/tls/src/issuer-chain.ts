import { X509Certificate } from 'node:crypto'
import { fault } from '@sluice/options'
import { certificateBlocks } from './pem.js'

/**
 * Who issued a certificate, then who issued that one, up to the root, as far as it is among the `authorities`. Each link is proved by its
 * signature. What a client sends along is never part of it: OpenSSL keeps what it doesn't need for its proof beside what it does.
 */
export function issuerChain(
  leaf: X509Certificate,
  authorities: readonly X509Certificate[],
): readonly X509Certificate[] {
  const chain: X509Certificate[] = []
  let last = leaf
  // Cross-signed authorities can issue each other in a circle.
  while (chain.length < authorities.length && !isIssuer(last, last)) {
    const issuer = authorities.find((each) => !chain.includes(each) && isIssuer(each, last))
    if (issuer === undefined) break
    chain.push(issuer)
    last = issuer
  }
  return chain
}

function isIssuer(issuer: X509Certificate, of: X509Certificate): boolean {
  return of.checkIssued(issuer) && of.verify(issuer.publicKey)
}

/**
 * The certificates of a text of PEM, or several.
 * @throws TypeError that names `path`
 */
export function readAuthorities(
  given: string | Buffer | readonly (string | Buffer)[],
  path: string,
): readonly X509Certificate[] {
  const blocks = [given].flat().flatMap((text) => certificateBlocks(text.toString('latin1')))
  if (blocks.length === 0)
    throw new TypeError(fault(path, 'no certificate', 'certificates of authorities (PEM)'))
  try {
    return blocks.map(({ text }) => new X509Certificate(text))
  } catch (error) {
    throw new TypeError(
      fault(
        path,
        "a certificate that can't be read",
        `certificates of authorities (PEM): ${(error as Error).message}`,
      ),
    )
  }
}
