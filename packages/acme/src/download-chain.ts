import type { X509Certificate } from 'node:crypto'
import { AcmeError } from './acme-error.js'
import type { AcmeAnswer } from './acme-http.js'
import { type ChainPurpose, chainFault, issuedBy, readChain } from './certificate-chain.js'

/** Further chains that are looked at. */
const mostAlternates = 5

/**
 * The chain at `url`, or the first of the other ones that the server offers (RFC 8555 section 7.4.2) which an authority of the name
 * `preferred` has issued a part of. Checked, and written anew: nothing but certificates is in it.
 * @throws AcmeError for one that doesn't fit its purpose
 */
export async function downloadChain(
  get: (url: string) => Promise<AcmeAnswer>,
  url: string,
  purpose: ChainPurpose,
  preferred: string | undefined,
): Promise<string> {
  const answer = await get(url)
  let chain = checked(answer, purpose)
  if (preferred !== undefined && !issuedBy(chain, preferred))
    for (const link of answer.links('alternate').slice(0, mostAlternates)) {
      const other = checked(await get(link), purpose)
      if (!issuedBy(other, preferred)) continue
      chain = other
      break
    }
  return chain.map((each) => each.toString()).join('')
}

function checked({ url, text }: AcmeAnswer, purpose: ChainPurpose): X509Certificate[] {
  const chain = readChain(text)
  const what = typeof chain === 'string' ? chain : chainFault(chain, purpose)
  if (typeof chain !== 'string' && what === undefined) return chain
  throw new AcmeError({ code: 'wrong_certificate', phase: 'certificate', url, what: what ?? '' })
}
