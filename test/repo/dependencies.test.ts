import { describe, expect, it } from 'vitest'
import { closure, members } from '../../scripts/lib/workspace.mjs'
import { packages, read } from './tree.js'

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

  // Without a reference a fresh clone may build a package before what it stands on.
  it.each(packages)('of $name within the house are the references of its build', ({ dir, manifest }) => {
    const { references = [] } = JSON.parse(read(`${dir}/tsconfig.json`)) as {
      references?: { path: string }[]
    }
    const inside = Object.keys(manifest.dependencies ?? {}).filter((name) => name.startsWith('@sluice/'))
    expect(references.map(({ path }) => path.replace('../', '@sluice/')).sort()).toEqual(inside.sort())
  })

  // `npm start` installs no development dependencies: what its build needs of types comes by the quickstart.
  it('of types, that packages of the quickstart are built with, stand in it and are hoisted', () => {
    const built = closure('quickstart')
    const needed = built.flatMap(({ manifest }) => Object.entries(manifest.devDependencies ?? {}))
    const types = Object.fromEntries(needed.filter(([name]) => name.startsWith('@types/')))
    const { dependencies } = JSON.parse(read('examples/quickstart/package.json')) as {
      dependencies: Record<string, string>
    }
    expect(dependencies).toMatchObject(types)
    const hoisted = [...read('pnpm-workspace.yaml').matchAll(/^ {2}- "(@types\/[^"]+)"$/gm)].map(
      ([, name]) => name,
    )
    expect(hoisted.sort()).toEqual(Object.keys(types).sort())
  })
})
