import { describe, expect, it } from 'vitest'
import { members } from '../../scripts/lib/workspace.mjs'
import { read } from './tree.js'

const fields = ['dependencies', 'devDependencies', 'optionalDependencies'] as const
const manifests: Record<string, Record<string, string> | undefined>[] = [
  JSON.parse(read('package.json')),
  ...members().map(({ manifest }) => manifest),
]
const used = manifests.flatMap((manifest) => fields.flatMap((field) => Object.entries(manifest[field] ?? {})))
const external = [
  ...new Set(used.filter(([, version]) => !version.startsWith('workspace:')).map((pair) => pair.join(' '))),
]

describe('dependencies', () => {
  it('are pinned exactly', () => {
    const loose = used.filter(
      ([, version]) => version !== 'workspace:*' && !/^(npm:.+@)?\d+\.\d+\.\d+$/.test(version),
    )
    expect(loose).toEqual([])
  })

  it('stand in docs/dependencies.md, each with its version and a reason', () => {
    const rows = [
      ...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` \| ((?:npm:[^|]+@)?[\d.]+) \| (\S.*) \|$/gm),
    ]
    expect(rows.map(([, name, version]) => `${name} ${version}`).sort()).toEqual(external.sort())
  })
})
