import { describe, expect, it } from 'vitest'
import { packages, read, sourcesOf } from './tree.js'

const cache = packages.find(({ short }) => short === 'cache') as (typeof packages)[number]
const sources = new Map(sourcesOf(cache).map((file) => [file.slice(file.lastIndexOf('/') + 1), read(file)]))
const page = read('packages/cache/README.md')

/** What the page's table tells of. */
const told = [
  ...(/^\| detail \|[^\n]*\n\|[-|]+\n((?:\|.*\n)+)/m.exec(page)?.[1] ?? '').matchAll(/^\|([^|]*)\|/gm),
]
  .flatMap(([, first = '']) => [...first.matchAll(/`([\w-]+)`/g)])
  .map(([, name = '']) => name)

/** Names that a source gives as the reason of something, in whichever way it does. */
function namesIn(file: string, source: string): string[] {
  const ways = [
    /refused: '([\w-]+)'/g,
    /#(?:own|pass|unshared)\((?:[^()']|'[\w-]+',)*'([\w-]+)'\)/g,
    /\bhitForMiss\.note\([^()']*'([\w-]+)'/g,
    /\bdetail(?: =|:) [^'\n]*'([\w-]+)'/g,
    /\bdetail = [^'\n]*'[\w-]+' : '([\w-]+)'/g,
  ]
  if (['deception.ts', 'engine.ts', 'keep.ts', 'storable.ts'].includes(file))
    ways.push(/return '([a-z][\w-]*)'/g)
  const found = ways.flatMap((way) => [...source.matchAll(way)].map(([, name = '']) => name))
  const uses = file === 'reuse.ts' ? (/^export type Use = (.*)$/m.exec(source)?.[1] ?? '') : ''
  for (const [, use = ''] of uses.matchAll(/'([\w-]+)'/g))
    if (use !== 'fresh' && use !== 'validate') found.push(use)
  return found
}

describe('the names in `detail` of Cache-Status', () => {
  const given = new Set([...sources].flatMap(([file, source]) => namesIn(file, source)))

  it('are found', () => {
    for (const name of [
      'private',
      'vary',
      'too-large',
      'lock-wait',
      'key-too-long',
      'unhandled',
      'stale-if-error',
    ])
      expect(given).toContain(name)
  })

  it('stand in the README, each once and no others', () =>
    expect([...told].sort()).toEqual([...given].sort()))

  it('have all reasons of the policy among them', () => {
    const union =
      /export type Unstorable =\n((?: {2}\| '[\w-]+'\n)+)/.exec(sources.get('storable.ts') ?? '')?.[1] ?? ''
    const reasons = [...union.matchAll(/'([\w-]+)'/g)].map(([, name]) => name)
    expect(reasons.length).toBeGreaterThan(10)
    expect(reasons.filter((name) => !told.includes(name as string))).toEqual([])
  })
})
