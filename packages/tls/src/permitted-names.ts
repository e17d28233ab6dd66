import { isIP } from 'node:net'

/**
 * What an authority has to be permitted so that it can certify these names (RFC 5280 section 4.2.1.10): a name stands for itself and all
 * below it, an address for itself. None stands below another.
 */
export function permittedNames(names: readonly string[]): string[] {
  const permitted = new Set<string>()
  for (const name of names) {
    if (isIP(name) !== 0) permitted.add(`${name}/${isIP(name) === 4 ? 32 : 128}`)
    else permitted.add(name.startsWith('*.') ? name.slice(2) : name)
  }
  const all = [...permitted]
  return all.filter((name) => !all.some((other) => isBelow(name, other)))
}

/** Whether all of these are permitted by those. */
export function permits(permitted: readonly string[], wanted: readonly string[]): boolean {
  return wanted.every((name) => permitted.some((each) => each === name || isBelow(name, each)))
}

function isBelow(name: string, other: string): boolean {
  return name.endsWith(`.${other}`)
}
