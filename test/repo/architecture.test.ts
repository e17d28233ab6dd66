import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { at } from '../../scripts/lib/workspace.mjs'
import { packages, read } from './tree.js'

const page = read('docs/architecture.md')

/** The first cells of tables, where they are a package's name in backticks, linked or not. */
function tableOfPackages(text: string): string[] {
  return [...text.matchAll(/^\| *\[?`((?:@sluice\/)?[a-z-]+)`/gm)].map(([, name = '']) => name)
}

describe('docs/architecture.md', () => {
  it('has the packages of the tree in its table', () => {
    expect(tableOfPackages(page).sort()).toEqual(packages.map(({ name }) => name).sort())
  })

  it('says of each package what the package says of itself: its floor row names it', () => {
    const drawing = /```\n(L4[\s\S]*?)```/.exec(page)?.[1] ?? ''
    const missing = packages.filter(({ short }) => !new RegExp(`\\b${short}\\b`).test(drawing))
    expect(missing.map(({ name }) => name)).toEqual([])
  })

  it('names only files that are there', () => {
    const named = [...page.matchAll(/`([\w.-]+(?:\/[\w.-]+)+\.(?:ts|mjs|js|md|json))`/g)].map(
      ([, path = '']) => path,
    )
    expect(named.length).toBeGreaterThan(0)
    const gone = named.filter((path) => !existsSync(at(path)) && !existsSync(at('packages', insideSrc(path))))
    expect(gone).toEqual([])
  })
})

describe('README.md', () => {
  it('has the packages of the tree in its table', () => {
    expect(tableOfPackages(read('README.md')).sort()).toEqual(packages.map(({ name }) => name).sort())
  })
})

/** `core/chain.ts` is short for `core/src/chain.ts`. */
function insideSrc(path: string): string {
  return path.replace('/', '/src/')
}
