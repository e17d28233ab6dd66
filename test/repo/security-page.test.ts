import { existsSync } from 'node:fs'
import { proxyErrors } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { at } from '../../scripts/lib/workspace.mjs'
import { packages, read, sourcesOf } from './tree.js'

const page = read('docs/security.md')

/** The part below a heading, up to the next of its level. */
function section(heading: string): string {
  const [, rest = ''] = page.split(`\n## ${heading}\n`)
  return rest.split('\n## ')[0] as string
}

const rows = (text: string): string[][] =>
  text
    .split('\n')
    .filter((line) => /^\| [^-]/.test(line))
    .map((line) =>
      line
        .slice(2, -2)
        .split(' | ')
        .map((cell) => cell.trim()),
    )

describe('the page of security', () => {
  it('has every status that a client’s fault can have, with its code', () => {
    const told = rows(section('What is refused, with which status')).map(
      ([status, code]) => `${status} ${code}`,
    )
    const ours = Object.entries(proxyErrors)
      .filter(([, { source, status }]) => source === 'client' && status !== 499)
      // A WebSocket of another version is no refusal of the guard's: core's page has it.
      .filter(([code]) => code !== 'http_request_upgrade_version')
      .map(([code, { status }]) => `${status} \`${code}\``)
    expect(ours.length).toBeGreaterThan(8)
    expect(ours.filter((each) => !told.includes(each))).toEqual([])
  })

  it.each(['guard', 'limit', 'access'])('has every reason that @sluice/%s gives', (short) => {
    const pages = page + read('packages/guard/README.md')
    const sources = packages.filter((each) => each.short === short).flatMap(sourcesOf)
    const given = sources
      .filter((file) => !file.includes('/probe/') && !file.includes('/leaks/'))
      .flatMap((file) => [
        ...read(file).matchAll(
          /(?:reason: |refused?\(|tooLarge\(|#cut\(|\.tell\(|#breakOff\()'([a-z][a-z\d]*(?:-[a-z\d]+)*)'/g,
        ),
      ])
      .map(([, reason]) => reason as string)
    expect(given.length).toBeGreaterThan(0)
    expect([...new Set(given)].filter((reason) => !pages.includes(`\`${reason}\``))).toEqual([])
  })

  it('names files for its advisories that speak of them', () => {
    const advisories = rows(section('Advisories')).slice(1)
    expect(advisories.length).toBeGreaterThan(10)
    const missing = advisories.flatMap(([numbers = '', , , where = '']) => {
      const files = [...where.matchAll(/`([^`]+)`/g)].map(([, file]) => file as string)
      const gone = files.filter((file) => !existsSync(at(file)))
      const text = files
        .filter((file) => !gone.includes(file))
        .map(read)
        .join()
      const unsaid = numbers.split(', ').filter((number) => !text.includes(number))
      return [...gone, ...unsaid]
    })
    expect(missing).toEqual([])
  })
})
