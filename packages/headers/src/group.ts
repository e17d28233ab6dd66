import type { HeaderList } from './header-list.js'

/** Each name once, as it was first written, with its value or values: for `setHeader`, and for HTTP/2. */
export function groupByName(list: Readonly<HeaderList>): [name: string, value: string | string[]][] {
  const groups = new Map<string, [string, string | string[]]>()
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] as string
    const value = list[i + 1] as string
    const lower = name.toLowerCase()
    const group = groups.get(lower)
    if (group === undefined) groups.set(lower, [name, value])
    else if (typeof group[1] === 'string') group[1] = [group[1], value]
    else group[1].push(value)
  }
  return [...groups.values()]
}
