import { existsSync, statSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import { at } from '../../scripts/lib/workspace.mjs'
import { anchorsOf } from './anchors.js'
import { documents, read } from './tree.js'

/** Links to places of this repository: the page, and the section that is meant. */
function linksOf(page: string): { link: string; to: string; section: string | undefined }[] {
  return [...read(page).matchAll(/\]\(([^)\s#]*)(?:#([^)\s]*))?\)/g)].flatMap(([, path = '', section]) => {
    if (/^[a-z]+:/.test(path) || (path === '' && section === undefined)) return []
    const to = path === '' ? page : posix.join(posix.dirname(page), path)
    return [{ link: section === undefined ? path : `${path}#${section}`, to, section }]
  })
}

/** A folder shows its README. */
function shown(path: string): string {
  return statSync(at(path)).isDirectory() ? posix.join(path, 'README.md') : path
}

describe.each(documents())('%s', (page) => {
  it('links to files that are there', () => {
    const broken = linksOf(page).filter(({ to }) => !existsSync(at(to)))
    expect(broken.map(({ link }) => link)).toEqual([])
  })

  it('links to sections that are there', () => {
    const broken = linksOf(page).filter(
      ({ to, section }) =>
        section !== undefined && existsSync(at(to)) && !anchorsOf(read(shown(to))).includes(section),
    )
    expect(broken.map(({ link }) => link)).toEqual([])
  })
})
