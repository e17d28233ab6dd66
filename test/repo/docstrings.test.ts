import { describe, expect, it } from 'vitest'
import { packages, read, sourcesOf } from './tree.js'

const declaration =
  /^export (?:default )?(?:declare )?(?:abstract )?(?:async )?(function\*?|class|interface|type|const|let|enum|namespace)\s+(\w+)/

/** Exported declarations without a docstring right above. Of a function's overloads the first has it. */
function undocumented(source: string): string[] {
  const lines = source.split('\n')
  const functions = new Set<string>()
  const found: string[] = []
  for (const [index, line] of lines.entries()) {
    const [, kind, name = ''] = declaration.exec(line) ?? []
    if (kind === undefined) continue
    const overload = functions.has(name)
    if (kind.startsWith('function')) functions.add(name)
    if (!overload && !endsDocstring(lines, index - 1)) found.push(name)
  }
  return found
}

function endsDocstring(lines: readonly string[], last: number): boolean {
  let line = last
  // What stands between a docstring and its declaration: notes to the linters.
  while (/^\/\/ (biome-ignore|oxlint-disable)/.test(lines[line] ?? '')) line--
  if (!(lines[line] ?? '').trimEnd().endsWith('*/')) return false
  while (line > 0 && !(lines[line] ?? '').startsWith('/*')) line--
  return (lines[line] ?? '').startsWith('/**')
}

describe('the check itself', () => {
  it('finds what has no docstring, or one that is not right above', () => {
    const source = [
      '/** Has one. */',
      'export const a = 1',
      'export function b(x: string): void',
      'export function b(x: number): void',
      'export function b() {}',
      '/* No docstring. */',
      'export interface C {}',
      '/**',
      ' * Long.',
      ' */',
      'export abstract class D {}',
      '/** Too far away. */',
      '',
      'export type E = 1',
      "export { f } from './f.js'",
    ].join('\n')
    expect(undocumented(source)).toEqual(['b', 'C', 'E'])
  })
})

describe.each(packages)('$name', (one) => {
  it('says of every export what it is for', () => {
    const found = sourcesOf(one).flatMap((file) => undocumented(read(file)).map((name) => `${file}: ${name}`))
    expect(found).toEqual([])
  })
})
