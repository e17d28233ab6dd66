import { describe, expect, it } from 'vitest'
import { type Import, importsOf, type Package, packageOf, packages, read, sourcesOf } from './tree.js'

const floors: Record<string, number> = {
  headers: 0,
  options: 0,
  upstream: 0,
  'proxy-protocol': 0,
  files: 0,
  core: 1,
  forward: 2,
  route: 2,
  balance: 2,
  health: 2,
  resilience: 2,
  discovery: 2,
  cache: 2,
  compress: 2,
  limit: 2,
  guard: 2,
  access: 2,
  tls: 2,
  acme: 2,
  observe: 2,
  'http-proxy': 3,
  redis: 3,
  sluice: 4,
}

/** What an engine may use of core at run time (docs/decisions/003). */
const engineMayUse = [
  'asProxyError',
  'ProxyError',
  'PushBody',
  'RelayBody',
  'ReplayBody',
  'clientBody',
  'discard',
  'editUnhandled',
  'isBody',
  'isOwnPage',
  'endOfTurn',
  'lingeringClose',
  'LinkedList',
  'resetSocket',
  'freeMemory',
  'turnTime',
  'onBodyEnd',
  'publicAuthority',
  'publicPath',
  'statusFields',
  'unhandled',
  'withFields',
  'toBody',
  'toReadable',
  'writeSpent',
]

/** A second thin file over the chain, beside middleware.ts: why stands in docs/decisions/031. */
const alsoMiddleware = ['/cache/src/connect-cache.ts']

/** Of a package of ours: `http-proxy` without the scope is somebody else's. */
const floorOf = (name: string): number | undefined =>
  name === 'sluice' || name.startsWith('@sluice/') ? floors[name.replace('@sluice/', '')] : undefined

describe('imports of a source', () => {
  it('are told with what is used at run time', () => {
    const source = [
      `import debug from 'debug'`,
      `import { type A, b, c as d } from '@sluice/core'`,
      `import type { E } from '@sluice/core'`,
      `import * as f from 'node:http'`,
      `import 'side-effect'`,
      `export {\n  g,\n  type H,\n} from './g.js'`,
      `export * from './i.js'`,
      `type J = import('undici').Dispatcher`,
      `const k = require('jose')`,
      `const text = "import x from 'y'"`,
    ].join('\n')
    expect(importsOf(source)).toEqual([
      { from: 'debug', values: ['*'] },
      { from: '@sluice/core', values: ['b', 'c'] },
      { from: '@sluice/core', values: [] },
      { from: 'node:http', values: ['*'] },
      { from: './g.js', values: ['g'] },
      { from: './i.js', values: ['*'] },
      { from: 'side-effect', values: [] },
      { from: 'undici', values: ['*'] },
      { from: 'jose', values: ['*'] },
    ])
  })
})

describe.each(packages)('$name', (one) => {
  const imports = importsOfPackage(one)
  const floor = floorOf(one.name)

  it('has a floor and a name that fits its folder', () => {
    expect(floor).toBeTypeOf('number')
    expect(one.name).toBe(one.short === 'sluice' ? 'sluice' : `@sluice/${one.short}`)
  })

  it('imports from lower floors only', () => {
    const wrong = imports.filter(({ from }) => {
      const other = floorOf(packageOf(from) ?? '')
      return other !== undefined && other >= (floor ?? 0)
    })
    expect(wrong.map(shown)).toEqual([])
  })

  it('lists as dependencies what it imports, no more and no less', () => {
    const imported = new Set(imports.flatMap(({ from }) => packageOf(from) ?? []))
    expect(Object.keys(one.manifest.dependencies ?? {}).sort()).toEqual([...imported].sort())
  })
})

describe.each(packages.filter(({ name }) => floorOf(name) === 2))('$name, on floor 2', (one) => {
  it('uses the chain in middleware.ts alone', () => {
    const engines = importsOfPackage(one).filter(
      ({ file }) => !['/src/middleware.ts', ...alsoMiddleware].some((end) => file.endsWith(end)),
    )
    const wrong = engines.filter(
      ({ from, values }) => from === '@sluice/core' && values.some((name) => !engineMayUse.includes(name)),
    )
    expect(wrong.map(shown)).toEqual([])
  })
})

function importsOfPackage(one: Package): (Import & { readonly file: string })[] {
  return sourcesOf(one).flatMap((file) => importsOf(read(file)).map((what) => ({ file, ...what })))
}

function shown({ file, from, values }: Import & { readonly file: string }): string {
  return `${file} takes ${values.join(', ') || 'types'} from ${from}`
}
