/** What a target says of itself: all is well, rather not me, nothing new for me. */
export type Declaration = 'ok' | 'degraded' | 'draining'

/** The field by which targets say it, unless named otherwise. */
export const declarationField = 'X-Health'

/** Reads the field's value; what is none of the three says nothing. Parameters behind a semicolon are left aside. */
export function readDeclaration(value: string | undefined): Declaration | undefined {
  // A probe without types may say anything.
  if (typeof value !== 'string') return undefined
  const end = value.indexOf(';')
  const word = (end === -1 ? value : value.slice(0, end)).trim().toLowerCase()
  return word === 'ok' || word === 'degraded' || word === 'draining' ? word : undefined
}
