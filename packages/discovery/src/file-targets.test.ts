import { execFile, execFileSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createUpstream } from '@sluice/upstream'
import fc from 'fast-check'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { handTimers } from '../../../test/kit/hand-timers.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { warningsOf } from '../../../test/kit/warnings.js'
import { watched } from '../../../test/kit/watched.js'
import { type FileOptions, fileTargets } from './index.js'
import { jsonLines } from './json-lines.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('SluiceWarning')
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-targets-'))
  own({ close: () => rmSync(folder, { recursive: true, force: true }) })
})

const list = (...ports: number[]): string => JSON.stringify(ports.map((port) => `http://127.0.0.1:${port}`))
const urls = (...ports: number[]): string[] => ports.map((port) => `http://127.0.0.1:${port}`)

/** Watched by what the system tells: the poll is too slow to be what is seen. */
function live(file: string, options: FileOptions = {}) {
  return own(watched(fileTargets(file, { debounce: 1, poll: '1h', ...options })))
}

/** Watched by its poll alone, when the test says so. */
function polled(file: string, options: FileOptions = {}) {
  const timers = handTimers()
  const source = fileTargets(
    file,
    { debounce: '1h', poll: 1_000, ...options },
    { after: timers.after, random: () => 1 },
  )
  return { timers, watch: own(watched(source)) }
}

/** One more look, from beginning to end. */
async function look(timers: ReturnType<typeof handTimers>): Promise<void> {
  await timers.fire()
  await timers.next()
}

describe('a change is seen', () => {
  it('of a file that is written to', async () => {
    const file = join(folder, 'targets.json')
    writeFileSync(file, list(1))
    const watch = live(file)
    expect(await watch.urls(1)).toEqual(urls(1))
    writeFileSync(file, list(1, 2))
    await until(async () => watch.sets.at(-1)?.length === 2, 'both targets')
  })

  it('of one that is renamed over it, more than once', async () => {
    const file = join(folder, 'targets.json')
    writeFileSync(file, list(1))
    const watch = live(file)
    await watch.set(1)
    for (const port of [2, 3, 4]) {
      writeFileSync(`${file}.new`, list(port))
      renameSync(`${file}.new`, file)
      expect(await watch.urls(port)).toEqual(urls(port))
    }
    expect(watch.sets).toHaveLength(4)
  })

  it('of one that an editor moves away and writes anew', async () => {
    const file = join(folder, 'targets.json')
    writeFileSync(file, list(1))
    const watch = live(file)
    await watch.set(1)
    renameSync(file, `${file}~`)
    writeFileSync(file, list(2))
    expect(await watch.urls(2)).toEqual(urls(2))
  })

  it('of one in a ConfigMap, whose folder is switched by a link', async () => {
    const version = (name: string, port: number): void => {
      mkdirSync(join(folder, name))
      writeFileSync(join(folder, name, 'targets.yaml'), `targets:\n- http://127.0.0.1:${port}\n`)
      symlinkSync(name, join(folder, '..data_tmp'))
      renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
    }
    version('..2026_01', 1)
    symlinkSync('..data/targets.yaml', join(folder, 'targets.yaml'))
    const watch = live(join(folder, 'targets.yaml'))
    expect(await watch.urls(1)).toEqual(urls(1))
    for (const port of [2, 3]) {
      version(`..2026_0${port}`, port)
      rmSync(join(folder, `..2026_0${port - 1}`), { recursive: true })
      expect(await watch.urls(port)).toEqual(urls(port))
    }
    expect(warnings).toEqual([])
  })

  it('of one that a link in another folder leads to', async () => {
    mkdirSync(join(folder, 'here'))
    mkdirSync(join(folder, 'there'))
    const real = join(folder, 'there', 'real.json')
    writeFileSync(real, list(1))
    symlinkSync(real, join(folder, 'here', 'targets.json'))
    const watch = live(join(folder, 'here', 'targets.json'))
    await watch.set(1)
    writeFileSync(`${real}.new`, list(2))
    renameSync(`${real}.new`, real)
    expect(await watch.urls(2)).toEqual(urls(2))
  })

  it('of one that comes after all, and the upstream has no targets until then', async () => {
    const file = join(folder, 'targets.json')
    const upstream = createUpstream({ name: 'x', targets: fileTargets(file, { debounce: 1, poll: '1h' }) })
    own(upstream)
    await until(() => warnings.length === 1, 'a warning')
    expect(warnings[0]).toContain(`discovery file ${file}: ENOENT`)
    expect(upstream.available).toEqual([])
    writeFileSync(`${file}.new`, list(1))
    renameSync(`${file}.new`, file)
    await until(() => upstream.available.length === 1, 'the target')
  })

  it('of one in a folder that isn’t there yet', async () => {
    const file = join(folder, 'later', 'targets.json')
    const watch = live(file)
    await until(() => warnings.length === 1, 'a warning')
    for (const port of [1, 2]) {
      mkdirSync(join(folder, 'later'))
      writeFileSync(file, list(port))
      expect(await watch.urls(port)).toEqual(urls(port))
      rmSync(join(folder, 'later'), { recursive: true })
      await until(() => warnings.length === port + 1, 'a warning')
    }
  })

  it('by its poll where the system tells of none: of a folder further up that is another one', async () => {
    const file = join(folder, 'up', 'in', 'targets.json')
    const put = (above: string, port: number): void => {
      mkdirSync(join(folder, above, 'in'), { recursive: true })
      writeFileSync(join(folder, above, 'in', 'targets.json'), list(port))
    }
    put('up', 1)
    const { timers, watch } = polled(file)
    await watch.set(1)
    put('new', 2)
    renameSync(join(folder, 'up'), join(folder, 'old'))
    renameSync(join(folder, 'new'), join(folder, 'up'))
    expect(await timers.fire()).toBe(1_000)
    expect(await watch.urls(2)).toEqual(urls(2))
  })

  it('of one in a folder that was removed and made again', async () => {
    const inner = join(folder, 'inner')
    const file = join(inner, 'targets.json')
    mkdirSync(inner)
    writeFileSync(file, list(1))
    const { timers, watch } = polled(file, { debounce: 7 })
    await watch.set(1)
    await timers.next(1_000)
    for (const port of [2, 3]) {
      rmSync(inner, { recursive: true })
      mkdirSync(inner)
      // What it is told of the removal leads to a look, and that to a watch of the new folder.
      await timers.fire(7)
      await timers.next()
      writeFileSync(`${file}.new`, list(port))
      renameSync(`${file}.new`, file)
      await until(async () => {
        if (timers.waits.includes(7)) await timers.fire(7)
        return watch.sets.length === port
      }, 'what the system tells')
      expect(await watch.urls(port)).toEqual(urls(port))
      await timers.next()
    }
  })
})

it('keeps the order of the file, and all that a target may have', async () => {
  const file = join(folder, 'targets.yml')
  writeFileSync(
    file,
    [
      '# by hand',
      'targets:',
      '  - url: http://b:1',
      '    weight: 2.5',
      '    priority: 1',
      '    zone: eu',
      '    id: first',
      '  - http://a:2',
      '',
    ].join('\n'),
  )
  expect(await live(file).set(1)).toEqual([
    { url: 'http://b:1', weight: 2.5, priority: 1, zone: 'eu', id: 'first' },
    'http://a:2',
  ])
})

it('delivers once what is the same in other words', async () => {
  const file = join(folder, 'targets.json')
  writeFileSync(file, list(1, 2))
  const { timers, watch } = polled(file)
  await watch.set(1)
  writeFileSync(file, `${list(1, 2)}\n\n`)
  await look(timers)
  writeFileSync(file, `\uFEFF{ "targets": ${list(1, 2)} }`)
  await look(timers)
  expect([watch.sets.length, warnings]).toEqual([1, []])
})

describe('bad content', () => {
  it.each([
    ['json', '[\n"http://a:1",\n]', ':3: this is no JSON'],
    ['json', '', ':1: this is no JSON'],
    ['json', '{}', ":1: targets: got nothing, takes a list of URLs such as ['http://127.0.0.1:3000']"],
    [
      'json',
      '[\n{ "url": "http://a:1" },\n{ "url": "http://b:1",\n "weight": 0 }]',
      ':4: [1].weight: got 0, takes a number above 0',
    ],
    ['json', '{ "targets": [\n"a:1"\n], "x": 1 }', ':3: x: unknown option'],
    [
      'json',
      '["http://a:1",\n"http://a:1/"]',
      ':2: [1]: got "http://a:1" again, as in [0]; takes each target once',
    ],
    ['json', '[{ "url": "http://a:1",\n"wieght": 1 }]', ':2: [0].wieght: unknown option'],
    ['yaml', '- http://a:1\n- {', ':2: '],
    [
      'yaml',
      'targets:\n- url: http://a:1\n  weight: -1\n',
      ':3: targets[0].weight: got -1, takes a number above 0',
    ],
    ['yaml', 'targets: 7', ':1: targets: got 7, takes a list'],
    ['yaml', '', ': targets: got nothing, takes a list'],
    ['yaml', '- http://a:1\n- http://user:secret@b', ':2: [1]: got "http://***@b", takes a URL without user'],
    [
      'yaml',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefg'
        .split('')
        .map((each, i) => `${each}: &${each} [${Array(9).fill(`*${'abcdef'[i]}`)}]`)
        .join('\n')}`,
      ': Excessive alias count',
    ],
  ])('keeps the last targets and names file and line: %s %j', async (format, text, says) => {
    const file = join(folder, `targets.${format}`)
    writeFileSync(file, list(1))
    const { timers, watch } = polled(file)
    await watch.set(1)
    writeFileSync(file, text)
    await look(timers)
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain(`discovery file ${file}: ${file}${says}`)
    expect(warnings[0]).toContain('; the last targets stay')
    // Told once, however often it is looked at and written anew.
    await look(timers)
    writeFileSync(file, text)
    await look(timers)
    writeFileSync(file, `${text} `)
    await look(timers)
    expect(warnings).toHaveLength(1)
    writeFileSync(file, list(2))
    await look(timers)
    expect(await watch.urls(2)).toEqual(urls(2))
    writeFileSync(file, text)
    await look(timers)
    expect(warnings).toHaveLength(2)
    expect(watch.sets).toHaveLength(2)
  })

  it('tells of another fault, and shows nothing of what may be a key', async () => {
    const file = join(folder, 'targets.json')
    writeFileSync(file, '[{ "tls": { "key": "SECRET" } } x]')
    const { timers } = polled(file)
    await timers.next()
    writeFileSync(file, '[{ "tls": { "key": "SECRET"\n } } x]')
    await look(timers)
    expect(warnings).toHaveLength(2)
    expect(warnings.join()).not.toContain('SECRET')
  })

  it('names the first faults of many', async () => {
    const file = join(folder, 'targets.json')
    writeFileSync(file, JSON.stringify(Array.from({ length: 1_000 }, (_, i) => `a:${i}`)))
    const { timers } = polled(file)
    await timers.next()
    expect(warnings).toHaveLength(1)
    const lines = warnings[0]?.split('\n') ?? []
    expect(lines).toHaveLength(11)
    expect(lines[9]).toContain(':1: [9]: got "a:9"')
    expect(lines[10]).toBe('and 990 more faults')
  })

  it('of what is no file, or of one that is far too long, is not read', async () => {
    const pipe = join(folder, 'pipe.json')
    execFileSync('mkfifo', [pipe])
    const long = join(folder, 'long.json')
    writeFileSync(long, '')
    truncateSync(long, 2 ** 33)
    const says: [string, string][] = [
      [pipe, 'this is no file'],
      [folder, 'this is no file'],
      [long, 'this is longer than 16777216 bytes'],
    ]
    for (const [file, text] of says) {
      const { timers, watch } = polled(file)
      await timers.next()
      expect(warnings.at(-1)).toBe(`discovery file ${file}: ${file}: ${text}`)
      watch.close()
    }
  })

  it('of none: a file that is removed', async () => {
    const file = join(folder, 'targets.json')
    writeFileSync(file, list(1))
    const { timers, watch } = polled(file)
    await watch.set(1)
    unlinkSync(file)
    await look(timers)
    await look(timers)
    expect(watch.sets).toHaveLength(1)
    expect(warnings).toEqual([expect.stringContaining('ENOENT')])
  })
})

describe('an empty list', () => {
  it.each([
    ['keep', 1, ', the last ones stay'],
    ['apply', 2, ''],
  ] as const)('%s', async (empty, sets, says) => {
    const file = join(folder, 'targets.json')
    writeFileSync(file, list(1))
    const { timers, watch } = polled(file, { empty })
    await watch.set(1)
    writeFileSync(file, '[]')
    await look(timers)
    await look(timers)
    expect(watch.sets).toHaveLength(sets)
    expect(warnings).toEqual([`discovery file ${file}: no targets${says}`])
  })
})

it('waits while it is written to, but not for ever', async () => {
  const file = join(folder, 'targets.json')
  writeFileSync(file, list(1))
  let now = 0
  const timers = handTimers()
  const seams = { after: timers.after, now: () => now }
  const watch = own(watched(fileTargets(file, { debounce: 100, poll: 1_000 }, seams)))
  await watch.set(1)
  expect(await timers.next()).toBe(1_000)
  writeFileSync(file, list(2))
  await until(() => timers.waits[0] === 100, 'the debounce')
  now = 950
  writeFileSync(file, list(2))
  await until(() => timers.waits[0] === 50, 'what is left')
  await timers.fire()
  expect(await watch.urls(2)).toEqual(urls(2))
})

it('stops at once when disposed', async () => {
  const file = join(folder, 'targets.json')
  writeFileSync(file, list(1))
  const { timers, watch } = polled(file)
  watch.close()
  const second = polled(file)
  await second.watch.set(1)
  expect([watch.sets, timers.waits]).toEqual([[], []])
  second.watch.close()
  expect(second.timers.waits).toEqual([])
})

it('finds the first fault of any JSON, and no fault in good JSON', () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(), fc.string({ minLength: 1, maxLength: 2 }), (text, at, noise) => {
      expect(jsonLines(text).fault).toBeUndefined()
      const i = at % (text.length + 1)
      const changed = text.slice(0, i) + noise + text.slice(i + 1)
      let good = true
      try {
        JSON.parse(changed)
      } catch {
        good = false
      }
      expect(jsonLines(changed).fault === undefined).toBe(good)
    }),
  )
})

it.each([
  ['many lines', '\n', 2, 2_001],
  ['one line', '', 1, 1],
])('reads a long text of %s once, and not again for each value', (_what, end, first, last) => {
  const count = 2_000
  const values = Array.from({ length: count }, (_, i) => `{ "url": "http://a:${i}" }`)
  const source = `[${end}${values.join(`,${end}`)}${end}]`
  const calls = (['slice', 'split', 'indexOf'] as const).map((name) => vi.spyOn(String.prototype, name))
  own({ close: () => vi.restoreAllMocks() })
  const { lines } = jsonLines(source)
  // A copy of what comes before, or a search to the end, for each value is minutes for a file of some megabytes.
  const made = calls
    .flatMap(({ mock }) => mock.contexts)
    .filter((text) => String(text).length === source.length)
  expect(made.length).toBeLessThan(end === '' ? 10 : count + 10)
  expect([lines.get('[0].url'), lines.get(`[${count - 1}].url`)]).toEqual([first, last])
})

it('tells the line of each value, whatever lies between', () => {
  const blank = fc
    .array(fc.constantFrom(' ', '\n', '\r\n', '\t'), { maxLength: 4 })
    .map((each) => each.join(''))
  fc.assert(
    fc.property(fc.array(fc.tuple(blank, fc.nat(9), blank), { minLength: 1, maxLength: 20 }), (values) => {
      let text = '['
      const lines: number[] = []
      values.forEach(([before, value, after], i) => {
        text += `${i > 0 ? ',' : ''}${before}`
        lines.push(text.split('\n').length)
        text += `${value}${after}`
      })
      const found = jsonLines(`${text}]`)
      expect(values.map((_, i) => found.lines.get(`[${i}]`))).toEqual(lines)
    }),
  )
})

it.each<[unknown, unknown, string]>([
  ['', {}, "fileTargets: got '', takes a path such as 'targets.json'"],
  ['a', { format: 'toml' }, "fileTargets.format: got 'toml', takes 'json', 'yaml'"],
  ['a', { poll: 0 }, 'fileTargets.poll'],
  ['a', { debounce: 'x' }, 'fileTargets.debounce'],
])('refuses %j with %j', (path, options, says) => {
  expect(() => fileTargets(path as never, options as never)).toThrow(says)
})

it('loads yaml where a file is YAML, and with the call: later there may be no file to open', async () => {
  const program = `
    import { createRequire } from 'node:module'
    import { fileTargets } from '@sluice/discovery'
    const { cache } = createRequire(import.meta.url)
    const loaded = () => Object.keys(cache).some((file) => /node_modules[\\\\/]yaml[\\\\/]/.test(file))
    fileTargets('targets.json')
    const before = loaded()
    fileTargets('targets.yaml')
    console.log(before, loaded())`
  const args = ['--input-type=module', '--eval', program]
  const run = promisify(execFile)(process.execPath, args, { cwd: new URL('..', import.meta.url) })
  expect((await run).stdout).toBe('false true\n')
})
