import { isIPv4, isIPv6 } from 'node:net'

/** Something that must not be seen, in all the ways in which it is looked for. */
export interface Secret {
  /** As it was given, or what of it. */
  readonly name: string
  /** Which disguises are looked for, each with what finds it. */
  readonly forms: readonly Form[]
  /** It is a bare number: looked for as it is, and not in fields that are numbers. */
  readonly number: boolean
}

interface Form {
  readonly disguise: string
  readonly pattern: RegExp
}

/**
 * The secrets that a text stands for: a URL for its authority, its name unless that is this machine's (which every client of a test has,
 * too) or the public one, and its port; a path of a Unix socket for that; all else for itself.
 */
export function secretsOf(given: string, publicHost: string): Secret[] {
  if (given.startsWith('unix:')) return [secret(given, given.slice(5))]
  if (!/^[a-z][a-z\d+.-]*:\/\//i.test(given) || !URL.canParse(given)) return [secret(given, given)]
  const { host, hostname, port } = new URL(given)
  const name = hostname.replace(/^\[|\]$/g, '')
  const list: Secret[] = []
  const local = name === 'localhost' || name === '::1' || name.startsWith('127.')
  if (!local && name !== publicHost && name !== '') list.push(secret(`${name} of ${given}`, name))
  if (port !== '') {
    list.push(secret(`${host} of ${given}`, host))
    list.push(secret(`port ${port} of ${given}`, port))
  }
  if (list.length === 0) list.push(secret(given, name))
  return list
}

function secret(name: string, text: string): Secret {
  const number = /^\d+$/.test(text)
  const forms: Form[] = [{ disguise: 'as it is', pattern: number ? alone(text) : bounded(text) }]
  if (!number) {
    forms.push({ disguise: 'in another case', pattern: bounded(text, 'i') })
    forms.push({ disguise: 'backwards', pattern: bounded(text.split('').reverse().join(''), 'i') })
    for (const each of new Set([text, text.toLowerCase(), text.toUpperCase()]))
      forms.push({ disguise: 'in hexadecimal', pattern: new RegExp(hexOf(each), 'i') })
    forms.push({ disguise: 'with other marks between', pattern: marked(text) })
    if (isIPv4(text)) forms.push(...formsOfIPv4(text))
    if (isIPv6(text)) forms.push(...formsOfIPv6(text))
  }
  return { name, forms, number }
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\/-]/g, String.raw`\$&`)
}

/** A number by itself: not a part of another one, of a word, or of an identifier. */
function alone(text: string): RegExp {
  return new RegExp(String.raw`(?<![\w.-])${text}(?![\w-]|\.\d)`)
}

/** Short texts must be words of their own; of what begins or ends in a digit no more digits may be a part. */
function bounded(text: string, flags = ''): RegExp {
  const short = text.length < 6
  const edge = (character: string): string =>
    /\d/.test(character) ? String.raw`\d` : short && /\w/.test(character) ? 'a-zA-Z0-9' : ''
  const first = edge(text.charAt(0))
  const last = edge(text.slice(-1))
  return new RegExp(`${first && `(?<![${first}])`}${escaped(text)}${last && `(?![${last}])`}`, flags)
}

/** `10-0-0-5`, `app_1_internal`: as clouds name their machines. */
function marked(text: string): RegExp {
  const parts = text.split(/[.:-]/)
  if (parts.length < 3) return /(?!)/
  return new RegExp(String.raw`(?<![\da-z])${parts.map(escaped).join('([-_])')}(?![\da-z])`, 'i')
}

function hexOf(text: string): string {
  return [...Buffer.from(text)]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join(String.raw`(?:\\x|[ :%-])?`)
}

function formsOfIPv4(address: string): Form[] {
  const octets = address.split('.').map(Number)
  const number = (list: readonly number[]): number => list.reduce((sum, each) => sum * 256 + each, 0)
  const swapped = [...octets].reverse()
  const hex = octets.map((each) => each.toString(16).padStart(2, '0')).join('')
  const dotted = (write: (octet: number) => string): RegExp =>
    new RegExp(String.raw`(?<![\da-fx.])${octets.map(write).join(String.raw`\.`)}(?![\da-f]|\.\d)`, 'i')
  const whole = (text: string): RegExp => new RegExp(String.raw`(?<![\d.])${text}(?!\d)`)
  return [
    { disguise: 'as a decimal number', pattern: whole(String(number(octets))) },
    { disguise: 'as a decimal number of swapped bytes', pattern: whole(String(number(swapped))) },
    { disguise: 'as an octal number', pattern: whole(`0+${number(octets).toString(8)}`) },
    {
      disguise: 'as a hexadecimal number',
      pattern: new RegExp(`(?<![\\da-f])(?:0x)?${hex}(?![\\da-f])`, 'i'),
    },
    { disguise: 'with leading zeros', pattern: dotted((octet) => `0*${octet}`) },
    {
      disguise: 'with octal parts',
      pattern: dotted((octet) => (octet > 7 ? `0+${octet.toString(8)}` : `0*${octet}`)),
    },
    { disguise: 'with hexadecimal parts', pattern: dotted((octet) => `(?:0x)0*${octet.toString(16)}`) },
    {
      disguise: 'as IPv6',
      pattern: new RegExp(
        `:0*${hex.slice(0, 4).replace(/^0+(?=.)/, '')}:0*${hex.slice(4).replace(/^0+(?=.)/, '')}(?![\\da-f:])`,
        'i',
      ),
    },
    { disguise: 'with its parts backwards', pattern: bounded(swapped.join('.')) },
  ]
}

function formsOfIPv6(address: string): Form[] {
  const groups = groupsOf(address)
  return [
    {
      disguise: 'with all its digits',
      pattern: new RegExp(groups.map((group) => `0*${group}`).join(':'), 'i'),
    },
    {
      disguise: 'as a hexadecimal number',
      pattern: new RegExp(groups.map((group) => group.padStart(4, '0')).join(''), 'i'),
    },
    {
      disguise: 'written shortest',
      pattern: bounded(new URL(`http://[${address}]`).hostname.slice(1, -1), 'i'),
    },
  ]
}

/** The eight groups of an address, without leading zeros. */
function groupsOf(address: string): string[] {
  const short = new URL(`http://[${address.replace(/%.*/, '')}]`).hostname.slice(1, -1)
  const [head = '', tail] = short.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length
  return [...before, ...Array<string>(zeros).fill('0'), ...after]
}
