/** A subject alternative name: its kind as OpenSSL writes it (`DNS`, `URI`, `IP Address`, `email`), and its value. */
export interface AlternativeName {
  readonly kind: string
  readonly value: string
}

/**
 * The names in `X509Certificate.subjectAltName`, which Node writes as `DNS:a.test, URI:"…"`: what could be taken for more than
 * one name stands there as a text of JSON (CVE-2021-44532 came of taking it apart at the commas alone). A part that can't be read ends the list.
 */
export function alternativeNames(text: string | undefined): readonly AlternativeName[] {
  const names: AlternativeName[] = []
  if (text === undefined) return names
  const part = /([A-Za-z][A-Za-z ]*):(?:("(?:[^"\\]|\\.)*")|([^",]*))(?:, |$)/y
  for (let found = part.exec(text); found !== null; found = part.exec(text)) {
    const [, kind = '', quoted, plain = ''] = found
    const value = quoted === undefined ? plain : unquoted(quoted)
    if (value === undefined) break
    names.push({ kind, value })
    if (part.lastIndex === text.length) break
  }
  return names
}

function unquoted(json: string): string | undefined {
  try {
    return JSON.parse(json) as string
  } catch {
    return undefined
  }
}
