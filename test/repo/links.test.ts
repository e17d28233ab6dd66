import { existsSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { at } from '../../scripts/lib/workspace.mjs'
import { documents, read } from './tree.js'

describe.each(documents())('%s', (page) => {
  it('links to files that are there', () => {
    const links = [...read(page).matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link)
    const local = links.filter((link) => !/^[a-z]+:/.test(link))
    expect(local.filter((link) => !existsSync(at(posix.join(posix.dirname(page), link))))).toEqual([])
  })
})
