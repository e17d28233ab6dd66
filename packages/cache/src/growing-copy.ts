import type { HeaderList } from '@sluice/headers'

/** A copy of a list that more is added to. `slice` gives a list without room: the first that is added to it would copy it all again, into twice the room. */
export function growingCopy(list: readonly string[]): HeaderList {
  const copy: HeaderList = []
  for (let i = 0; i < list.length; i++) copy.push(list[i] as string)
  return copy
}
