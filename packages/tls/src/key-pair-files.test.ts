import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { handTimers } from '../../../test/kit/hand-timers.js'
import { owner } from '../../../test/kit/owner.js'
import { program } from '../../../test/kit/program.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { warningsOf } from '../../../test/kit/warnings.js'
import { lockedKey, type X509Pair, x509Root } from '../../../test/kit/x509.js'
import {
  type CertificateFault,
  type KeyPairFilesOptions,
  type KeyPairFilesSeams,
  keyPairFiles,
} from './index.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('SluiceWarning')

const root = await x509Root()
const pairs: readonly X509Pair[] = await Promise.all(
  Array.from({ length: 6 }, (_, i) => root.issue({ names: [`v${i}.test`] })),
)
const [first, second, third] = pairs as [X509Pair, X509Pair, X509Pair]

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-pair-'))
  own({ close: () => rmSync(folder, { recursive: true, force: true }) })
})
const at = (name: string): string => join(folder, name)

function put(name: string, text: string): void {
  mkdirSync(dirname(at(name)), { recursive: true })
  writeFileSync(at(name), text)
}

function over(name: string, text: string): void {
  put(`${name}.new`, text)
  renameSync(at(`${name}.new`), at(name))
}

function folderInPlaceOf(name: string): void {
  unlinkSync(at(name))
  mkdirSync(at(name))
}

function link(to: string, name: string): void {
  symlinkSync(to, at(`${name}.new`))
  renameSync(at(`${name}.new`), at(name))
}

function putBoth({ chain, key }: X509Pair, cert = 'tls.crt', keyName = 'tls.key', write = put): void {
  write(cert, chain)
  write(keyName, key)
}

function open(
  options: KeyPairFilesOptions = {},
  seams: KeyPairFilesSeams = {},
  cert = 'tls.crt',
  key = 'tls.key',
) {
  const faults: CertificateFault[] = []
  const onFault = (fault: CertificateFault): void => void faults.push(fault)
  const files = { certFile: at(cert), keyFile: at(key) }
  const pair = keyPairFiles(files, { onFault, ...options }, 'tls', seams)
  own({ close: () => pair[Symbol.dispose]() })
  return {
    pair,
    faults,
    is: ({ chain, key }: X509Pair): boolean => pair.current.cert === chain && pair.current.key === key,
    becomes: (next: X509Pair) => until(() => pair.current.cert === next.chain, 'the next pair'),
  }
}

/** By what the system tells: the poll is too slow to be what is seen. */
const told: KeyPairFilesOptions = { debounce: 1, poll: '1h' }

describe('a pair is taken over', () => {
  it('that is renamed over, more than once', async () => {
    putBoth(first)
    const { is, becomes } = open(told)
    expect(is(first)).toBe(true)
    for (const next of [second, third, first]) {
      putBoth(next, 'tls.crt', 'tls.key', over)
      await becomes(next)
    }
  })

  it('that is written in place: cut off, then written', async () => {
    putBoth(first)
    const { becomes } = open(told)
    for (const next of [second, third]) {
      put('tls.crt', '')
      put('tls.key', '')
      putBoth(next)
      await becomes(next)
    }
  })

  it('behind links that lead elsewhere, as certbot has them', async () => {
    for (const [i, pair] of [first, second, third].entries())
      putBoth(pair, `archive/cert${i}`, `archive/key${i}`)
    const live = (i: number): void => {
      mkdirSync(at('live'), { recursive: true })
      link(`../archive/cert${i}`, 'live/cert')
      link(`../archive/key${i}`, 'live/key')
    }
    live(0)
    const { becomes } = open(told, {}, 'live/cert', 'live/key')
    for (const [i, next] of [second, third].entries()) {
      live(i + 1)
      await becomes(next)
    }
  })

  it('in a secret of Kubernetes, whose folder is switched by a link and removed', async () => {
    const version = (name: string, pair: X509Pair): void => {
      putBoth(pair, `..${name}/tls.crt`, `..${name}/tls.key`)
      link(`..${name}`, '..data')
    }
    version('1', first)
    for (const name of ['tls.crt', 'tls.key']) symlinkSync(`..data/${name}`, at(name))
    const { becomes, faults } = open(told)
    for (const [i, next] of [second, third, first].entries()) {
      version(`${i + 2}`, next)
      rmSync(at(`..${i + 1}`), { recursive: true })
      await becomes(next)
    }
    // Both files change in one moment, so there is never half of a pair.
    expect(faults).toEqual([])
  })

  it('whose key comes after its certificate, and until then the last one stays', async () => {
    putBoth(first)
    const { is, becomes, faults } = open(told)
    over('tls.crt', second.chain)
    await until(() => faults.length === 1, 'a fault')
    expect(is(first)).toBe(true)
    expect(faults[0]).toMatchObject({ where: at('tls.crt'), kept: true })
    expect(faults[0]?.error.message).toContain(`${at('tls.key')}: got a private key that doesn't fit`)
    over('tls.key', second.key)
    await becomes(second)
    expect(faults).toHaveLength(1)
  })

  it('that was removed and comes back, in its folder or with it', async () => {
    putBoth(first, 'in/tls.crt', 'in/tls.key')
    const { is, becomes, faults } = open(told, {}, 'in/tls.crt', 'in/tls.key')
    unlinkSync(at('in/tls.crt'))
    await until(() => faults.length === 1, 'a fault')
    expect(is(first)).toBe(true)
    putBoth(second, 'in/tls.crt', 'in/tls.key')
    await becomes(second)
    rmSync(at('in'), { recursive: true })
    await until(() => faults.length === 2, 'another')
    expect(faults.map(({ error }) => error.message)).toEqual([
      expect.stringContaining('ENOENT'),
      expect.stringContaining('ENOENT'),
    ])
    putBoth(third, 'in/tls.crt', 'in/tls.key')
    await becomes(third)
  })

  it('in a folder that takes the place of another, as itself or behind a link', async () => {
    putBoth(first, 'one/tls.crt', 'one/tls.key')
    putBoth(second, 'two/tls.crt', 'two/tls.key')
    putBoth(third, 'three/tls.crt', 'three/tls.key')
    link('one', 'now')
    const { becomes } = open(told, {}, 'now/tls.crt', 'now/tls.key')
    link('two', 'now')
    await becomes(second)
    renameSync(at('two'), at('old'))
    renameSync(at('three'), at('two'))
    await becomes(third)
  })

  it('in one file', async () => {
    put('all.pem', first.chain + first.key)
    const { pair } = open(told, {}, 'all.pem', 'all.pem')
    const next = second.chain + second.key
    over('all.pem', next)
    await until(() => pair.current.cert === next, 'the next pair')
    expect(pair.current.key).toBe(next)
  })

  it('with a key that is encrypted by the same passphrase', async () => {
    const passphrase = 'a secret'
    const put = ({ chain, key }: X509Pair): void => {
      over('tls.crt', chain)
      over('tls.key', lockedKey(key, passphrase))
    }
    put(first)
    const files = { certFile: at('tls.crt'), keyFile: at('tls.key'), passphrase }
    const pair = keyPairFiles(files, told)
    own({ close: () => pair[Symbol.dispose]() })
    expect(pair.current.passphrase).toBe(passphrase)
    put(second)
    await until(() => pair.current.cert === second.chain, 'the next pair')
    expect(inspect(pair, { depth: 9, showHidden: true })).not.toMatch(/a secret|PRIVATE KEY/)
  })
})

describe('a pair that is not good', () => {
  it.each<[string, () => void, RegExp]>([
    ['a folder in place of the key', () => folderInPlaceOf('tls.key'), /this is no file/],
    ['a link that leads nowhere', () => link('nowhere', 'tls.crt'), /ENOENT/],
    ['a link in a circle', () => link('tls.crt', 'tls.crt'), /ELOOP/],
    ['an empty certificate', () => put('tls.crt', ''), /an empty text/],
    ['half a certificate', () => put('tls.crt', second.cert.slice(0, 300)), /a PEM block without an end/],
    ['half a key', () => put('tls.key', first.key.slice(0, 100)), /a PEM block without an end/],
    ['one that is far too long', () => put('tls.crt', 'x'.repeat(1_100_000)), /longer than 1048576 bytes/],
    ['another key', () => over('tls.key', second.key), /doesn't fit/],
  ])('keeps the last one, is told once, and what follows is taken: %s', async (_what, spoil, says) => {
    putBoth(first)
    const timers = handTimers()
    const { is, faults, becomes } = open({ debounce: 0, poll: 30_000 }, { after: timers.after })
    expect(await timers.next(30_000)).toBe(30_000)
    spoil()
    // Whatever the system tells, it looks until it has seen it, and then twice more.
    for (let looks = 0; looks < 8 || faults.length === 0; looks++) {
      await timers.fire()
      await timers.next()
    }
    expect(is(first)).toBe(true)
    expect(faults).toHaveLength(1)
    expect(faults[0]?.error.message).toMatch(says)
    expect(faults[0]?.error.message).not.toContain('PRIVATE KEY-----')
    rmSync(at('tls.key'), { recursive: true })
    putBoth(second, 'tls.crt', 'tls.key', over)
    const done = becomes(second)
    while (!is(second)) {
      await timers.fire()
      await timers.next()
    }
    await done
    await timers.next()
    while (!timers.waits.includes(30_000)) {
      await timers.fire()
      await timers.next()
    }
  })

  it('is looked at again after 1 s, then twice as long each time, up to the poll', async () => {
    putBoth(first, 'up/in/tls.crt', 'up/in/tls.key')
    putBoth(second, 'new/in/tls.crt', 'new/in/tls.key')
    put('new/in/tls.key', 'x')
    const timers = handTimers()
    const { is } = open({ poll: 10_000 }, { after: timers.after }, 'up/in/tls.crt', 'up/in/tls.key')
    await timers.next()
    // Of a folder further up the system tells nothing.
    renameSync(at('up'), at('old'))
    renameSync(at('new'), at('up'))
    const waits: number[] = []
    for (let i = 0; i < 7; i++) waits.push(await timers.fire())
    expect(waits).toEqual([10_000, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
    renameSync(at('up'), at('new'))
    renameSync(at('old'), at('up'))
    await timers.fire()
    expect([await timers.next(), is(first)]).toEqual([10_000, true])
  })

  it('may be good later: one that is not valid yet', async () => {
    putBoth(first)
    const start = Date.now()
    const later = await root.issue({ names: ['later.test'], notBefore: start + 60_000 })
    let now = start
    const timers = handTimers()
    const { is, faults } = open({ debounce: 0, poll: 1_000 }, { after: timers.after, now: () => now })
    await timers.next()
    putBoth(later, 'tls.crt', 'tls.key', over)
    while (faults.length === 0) {
      await timers.fire()
      await timers.next()
    }
    for (let looks = 0; looks < 3; looks++) {
      now += 1_000
      await timers.fire()
      await timers.next()
    }
    expect([is(first), faults.map(({ error }) => error.message)]).toEqual([
      true,
      [expect.stringContaining('which is not valid before')],
    ])
    now += 61_000
    await timers.fire()
    await until(() => is(later), 'it')
  })

  it.each([
    [
      'there is no file',
      () => {
        unlinkSync(at('tls.crt'))
        unlinkSync(at('tls.key'))
      },
      /^tls\.certFile: got .*tls\.crt, which can't be read \(ENOENT.*\ntls\.keyFile: got /,
    ],
    ['a folder', () => folderInPlaceOf('tls.key'), /^tls\.keyFile: got .*this is no file/],
    [
      'a key that does not fit',
      () => put('tls.key', second.key),
      /tls\.key: got a private key that doesn't fit/,
    ],
    ['no certificate', () => put('tls.crt', 'x'), /tls\.crt: got no certificate/],
  ] as const)('is an error at first, with file and reason: %s', (_what, spoil, says) => {
    putBoth(first)
    spoil()
    expect(() => open()).toThrow(says)
    expect(() => open()).toThrow(TypeError)
  })

  it.each<[unknown, unknown, string]>([
    [{}, {}, 'files.certFile: got nothing, takes a path'],
    [{ certFile: 'a', keyFile: '' }, {}, "files.keyFile: got '', takes a path"],
    [{ certFile: 'a', keyFile: 'a\0' }, {}, 'files.keyFile: got'],
    [{ certFile: 'a', keyFile: 'b', passphrase: 7 }, {}, 'files.passphrase: got a number, takes a text'],
    [
      { certFile: 'a', keyFile: 'b', passPhrase: 'x' },
      {},
      'files.passPhrase: unknown option, did you mean passphrase?',
    ],
    [{ certFile: 'a', keyFile: 'b' }, { poll: 0 }, 'files.poll: got 0'],
    [{ certFile: 'a', keyFile: 'b' }, { debounce: 'x' }, 'files.debounce: got'],
    [{ certFile: 'a', keyFile: 'b' }, { onFault: 7 }, 'files.onFault: got 7, takes a function'],
  ])('refuses %j with %j', (files, options, says) => {
    expect(() => keyPairFiles(files as never, options as never, 'files')).toThrow(says)
  })
})

it('tells who watches, until they are disposed of, and one that throws stops nobody', async () => {
  putBoth(first)
  const { pair, becomes } = open(told)
  const heard: string[] = []
  const once = pair.watch(() => {
    heard.push('once')
    throw new Error('mine')
  })
  pair.watch(() => heard.push('always'))
  const before = pair.current
  expect(pair.current).toBe(before)
  putBoth(second, 'tls.crt', 'tls.key', over)
  await becomes(second)
  once[Symbol.dispose]()
  putBoth(third, 'tls.crt', 'tls.key', over)
  await becomes(third)
  expect(heard).toEqual(['once', 'always', 'always'])
  expect(warnings).toEqual([`who watches ${at('tls.crt')} threw: mine`])
  expect(pair.infos()).toMatchObject([{ names: ['v2.test'], where: at('tls.crt') }])
})

it('publishes what it does on sluice:tls:certificate', async () => {
  const seen: { kind: string; where: string }[] = []
  const note = (message: unknown): void => void seen.push(message as never)
  subscribe('sluice:tls:certificate', note)
  own({ close: () => void unsubscribe('sluice:tls:certificate', note) })
  putBoth(first)
  const { becomes, faults } = open(told)
  unlinkSync(at('tls.crt'))
  await until(() => faults.length === 1, 'a fault')
  putBoth(second)
  await becomes(second)
  expect(seen.filter(({ where }) => where === at('tls.crt')).map(({ kind }) => kind)).toEqual([
    'kept',
    'loaded',
  ])
})

it('stops at once when disposed', async () => {
  putBoth(first)
  const timers = handTimers()
  const { pair, is } = open({ debounce: 0 }, { after: timers.after })
  await timers.next()
  pair[Symbol.dispose]()
  expect(timers.waits).toEqual([])
  const early = open({}, { after: timers.after })
  early.pair[Symbol.dispose]()
  putBoth(second)
  const seen = open(told)
  putBoth(third)
  await seen.becomes(third)
  expect([is(first), timers.waits]).toEqual([true, []])
})

const files = (): number => readdirSync('/proc/self/fd').length

it.skipIf(skipUnless(process.platform === 'linux', 'there is no /proc'))(
  'holds no file open, whatever happens to the pair',
  async () => {
    putBoth(first)
    // The one through which the system tells of changes is the process's, and stays.
    open(told).pair[Symbol.dispose]()
    const before = files()
    const some = Array.from({ length: 20 }, () => open({ debounce: 1, poll: 20 }))
    for (const next of [second, third, first, second]) {
      put('tls.crt', '')
      unlinkSync(at('tls.key'))
      putBoth(next, 'tls.crt', 'tls.key', over)
      for (const each of some) await each.becomes(next)
    }
    for (const { pair } of some) pair[Symbol.dispose]()
    await until(
      () => files() === before,
      () => `as many files as before: ${files()}, not ${before}`,
    )
  },
)

it('holds no process open', async () => {
  putBoth(first)
  const run = `
    import { keyPairFiles, watchExpiry } from '@sluice/tls'
    const [certFile, keyFile] = process.argv.slice(1)
    const pair = keyPairFiles({ certFile, keyFile })
    watchExpiry(pair)
    // Its first look is over by then, and it waits.
    setTimeout(() => console.log('waits'), 50)
  `
  const child = own(program(['--input-type=module', '--eval', run, at('tls.crt'), at('tls.key')]))
  expect(await child.ended).toBe(0)
  expect(child.output).toBe('waits\n')
})

/** What may happen to the files; `n` is the version that it is about. */
type Step = readonly [name: keyof typeof steps, n: number]

const steps = {
  renamedOver: (n: number) => putBoth(pairs[n] as X509Pair, 'at/tls.crt', 'at/tls.key', replaced),
  writtenInPlace: (n: number) => {
    free('at/tls.crt')
    free('at/tls.key')
    putBoth(pairs[n] as X509Pair, 'at/tls.crt', 'at/tls.key')
  },
  certificateAlone: (n: number) => replaced('at/tls.crt', (pairs[n] as X509Pair).chain),
  keyAlone: (n: number) => replaced('at/tls.key', (pairs[n] as X509Pair).key),
  removed: () => rmSync(at('at/tls.crt'), { force: true, recursive: true }),
  cutOff: () => {
    free('at/tls.key')
    put('at/tls.key', '')
  },
  aFolder: () => {
    rmSync(at('at/tls.key'), { force: true, recursive: true })
    mkdirSync(at('at/tls.key'), { recursive: true })
  },
  aLinkToNowhere: () => {
    mkdirSync(at('at'), { recursive: true })
    rmSync(at('at/tls.crt'), { force: true, recursive: true })
    symlinkSync('nowhere', at('at/tls.crt'))
  },
  links: (n: number) => {
    putBoth(pairs[n] as X509Pair, `v${n}/tls.crt`, `v${n}/tls.key`)
    mkdirSync(at('at'), { recursive: true })
    for (const name of ['tls.crt', 'tls.key']) {
      rmSync(at(`at/${name}`), { force: true, recursive: true })
      symlinkSync(`../v${n}/${name}`, at(`at/${name}`))
    }
  },
  folderReplaced: (n: number) => {
    putBoth(pairs[n] as X509Pair, 'next/tls.crt', 'next/tls.key')
    rmSync(at('at'), { force: true, recursive: true })
    renameSync(at('next'), at('at'))
  },
  folderRemoved: () => rmSync(at('at'), { force: true, recursive: true }),
}

/** Whatever stands there, it is no link and no folder any more. */
function free(name: string): void {
  rmSync(at(name), { force: true, recursive: true })
}

function replaced(name: string, text: string): void {
  put(`${name}.new`, text)
  rmSync(at(name), { force: true, recursive: true })
  renameSync(at(`${name}.new`), at(name))
}

const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom(...(Object.keys(steps) as (keyof typeof steps)[])),
  fc.nat(pairs.length - 1),
)

/** The version that stands in the files, if it is a good one: as a program would find it that knew nothing of the past. */
function standing(): X509Pair | undefined {
  try {
    const pair = keyPairFiles({ certFile: at('at/tls.crt'), keyFile: at('at/tls.key') })
    pair[Symbol.dispose]()
    return pairs.find(({ chain }) => chain === pair.current.cert)
  } catch {
    return undefined
  }
}

describe('whatever happens to the files', () => {
  const fresh = (): void => {
    for (const name of readdirSync(folder)) rmSync(at(name), { recursive: true })
    putBoth(first, 'at/tls.crt', 'at/tls.key')
  }

  it('serves the newest good pair of those that it has looked at', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), async (todo) => {
        fresh()
        const timers = handTimers()
        const { pair, is } = open({ debounce: '2h' }, { after: timers.after }, 'at/tls.crt', 'at/tls.key')
        await timers.next()
        let newest = first
        for (const [name, n] of todo) {
          steps[name](n)
          newest = standing() ?? newest
          await timers.fire()
          await timers.next()
          expect(is(newest), name).toBe(true)
        }
        pair[Symbol.dispose]()
      }),
      { numRuns: 20 },
    )
  })

  it('serves the newest good pair in the end, by what the system tells', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 12 }), fc.nat(5), async (todo, last) => {
        fresh()
        const { pair, becomes } = open(told, {}, 'at/tls.crt', 'at/tls.key')
        for (const [i, [name, n]] of todo.entries()) {
          steps[name](n)
          if (i % 3 === 0) await new Promise((resolve) => setImmediate(resolve))
        }
        steps.renamedOver(last)
        await becomes(pairs[last] as X509Pair)
        pair[Symbol.dispose]()
      }),
      { numRuns: 30 },
    )
  })
})
