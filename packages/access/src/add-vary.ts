import { type HeaderList, varyNames } from '@sluice/headers'

/** Says that an answer depends on a field of the request, unless it says so. Edits the list. */
export function addVary(headers: HeaderList, name: string): void {
  const names = varyNames(headers)
  if (names !== '*' && !names.includes(name.toLowerCase())) headers.push('Vary', name)
}
