import type { HeaderList } from '@sluice/headers'

/** Underlines stand for hyphens where a target makes variables of fields (CGI, WSGI, Rack), in some servers any other mark, too. */
const pattern = /^(?:client[^\da-z]cert(?:[^\da-z]chain)?|x[^\da-z]forwarded[^\da-z]client[^\da-z]cert)$/i

/** Whether a field tells of a client certificate. Most names are let pass by their length. */
function tellsOfCertificate({ length }: string): boolean {
  return length === 11 || length === 17 || length === 23
}

/** A request's fields without those that tell of a client certificate: the list itself where there is none of them. */
export function withoutCertificateFields(headers: HeaderList): HeaderList {
  let kept: HeaderList | undefined
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (tellsOfCertificate(name) && pattern.test(name)) kept ??= headers.slice(0, i)
    else kept?.push(name, headers[i + 1] as string)
  }
  return kept ?? headers
}
