import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { handTimers } from '../../../test/kit/hand-timers.js'
import { owner } from '../../../test/kit/owner.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { deferred, until } from '../../../test/kit/until.js'
import { warningsOf } from '../../../test/kit/warnings.js'
import { type IpList, type IpSource, ipList } from './index.js'

trapUnhandled()
const own = owner()
const warnings = warningsOf('SluiceWarning')
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-ip-'))
  own({ close: () => rmSync(folder, { recursive: true, force: true }) })
})

function listOf(source: IpSource, after = handTimers().after): IpList {
  const list = ipList(source, 'guard.ip.deny', { after })
  own({ close: () => list[Symbol.dispose]() })
  return list
}

/** Lets all that has been set going come to its end. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a list of entries', () => {
  it('is there at once', async () => {
    const list = listOf(['10.0.0.0/8', '::1'])
    await list.ready
    expect([list.loaded, list.size, list.has('10.1.2.3'), list.has('11.1.2.3')]).toEqual([
      true,
      2,
      true,
      false,
    ])
  })
})

describe('a list in a file', () => {
  const file = (): string => join(folder, 'denied.txt')
  const put = (text: string): void => {
    writeFileSync(`${file()}.new`, text)
    renameSync(`${file()}.new`, file())
  }

  it('has an entry a line, with comments', () => {
    put('\uFEFF# denied\r\n\r\n10.0.0.0/8 ; ten\n  2001:db8::/32# doc\r\n192.0.2.1')
    const list = listOf({ file: file() })
    expect([list.loaded, list.size]).toEqual([true, 3])
    for (const each of ['10.9.8.7', '2001:db8::5', '192.0.2.1']) expect(list.has(each)).toBe(true)
  })

  it('is read again when it changes, and stays as it was while it is wrong', async () => {
    put('192.0.2.1\n')
    const timers = handTimers()
    const list = listOf({ file: file() }, timers.after)
    /** Until the change shows; a timer that waits is run at once. */
    const change = async (text: string): Promise<void> => {
      await timers.next()
      put(text)
      await timers.fire(100)
      await timers.next()
    }
    await change('192.0.2.2\n')
    expect([list.has('192.0.2.1'), list.has('192.0.2.2')]).toEqual([false, true])

    await change('192.0.2.3\n\nexample.org\n# 1.2.3.4/8\n10.0.0.1/8\n')
    expect([list.has('192.0.2.2'), list.has('192.0.2.3')]).toEqual([true, false])
    await turn()
    expect(warnings).toEqual([
      `guard.ip.deny ${file()}: the last list stays: ${file()}:3: got 'example.org', takes an address or a range such as '10.0.0.0/8' or 'fd00::/8'\n` +
        `${file()}:5: got '10.0.0.1/8', takes bits behind the prefix that are 0: '10.0.0.0/8'`,
    ])
    // Nothing new is wrong.
    await timers.fire()
    await timers.next()
    expect(warnings).toHaveLength(1)

    await change('192.0.2.4\n')
    expect([list.has('192.0.2.2'), list.has('192.0.2.4')]).toEqual([false, true])
    await timers.next()
    rmSync(file())
    await timers.fire()
    await until(() => warnings.length === 2, 'a warning')
    expect(warnings[1]).toContain('the last list stays: ENOENT')
    expect(list.has('192.0.2.4')).toBe(true)
  })

  it('leaves nothing behind', async () => {
    put('192.0.2.1\n')
    const timers = handTimers()
    const list = listOf({ file: file(), poll: '1m' }, timers.after)
    await timers.next(60_000)
    list[Symbol.dispose]()
    expect(timers.waits).toEqual([])
    put('192.0.2.2\n')
    await turn()
    expect([timers.waits, list.has('192.0.2.1')]).toEqual([[], true])
  })

  it('must be there and good at the start', () => {
    expect(() => listOf({ file: file() })).toThrow(
      /^guard\.ip\.deny\.file: got '.*' \(ENOENT.*\), takes a file that can be read$/,
    )
    put('10.0.0.0/8\nx\n')
    expect(() => listOf({ file: file() })).toThrow(`${file()}:2: got 'x', takes`)
  })
})

describe('a list of a function', () => {
  it('is there at once if that gives it at once', () => {
    expect(listOf({ load: () => ['10.0.0.0/8'] }).has('10.0.0.1')).toBe(true)
    expect(() => listOf({ load: () => ['x'] })).toThrow("guard.ip.deny.load()[0]: got 'x'")
    expect(() =>
      listOf({
        load() {
          throw new Error('no')
        },
      }),
    ).toThrow('no')
  })

  it('comes when that has given it, and again each time', async () => {
    const timers = handTimers()
    const first = deferred<string[]>()
    const given = [
      () => first.promise,
      () => ['192.0.2.2'],
      () => Promise.reject(new Error('gone')),
      () => {
        throw new Error('gone')
      },
      () => Promise.resolve(['192.0.2.3', '10.0.0.1/8']),
      () => Promise.resolve(['192.0.2.4']),
    ]
    const load = (): string[] | Promise<string[]> => (given.shift() as () => string[])()
    const list = listOf({ load, every: '1h' }, timers.after)
    expect([list.loaded, list.size, list.has('192.0.2.1')]).toEqual([false, 0, false])
    first.resolve(['192.0.2.1'])
    await list.ready
    expect([list.loaded, list.has('192.0.2.1')]).toEqual([true, true])

    await timers.fire(3_600_000)
    await until(() => list.has('192.0.2.2'), 'the second')
    await timers.fire(3_600_000)
    await timers.fire(1_000)
    await timers.fire(2_000)
    await timers.fire(4_000)
    await until(() => list.has('192.0.2.4'), 'the last')
    await timers.next(3_600_000)
    await turn()
    expect(warnings).toEqual([
      'guard.ip.deny: the last list stays: gone',
      "guard.ip.deny: the last list stays: guard.ip.deny.load()[1]: got '10.0.0.1/8', takes bits behind the prefix that are 0: '10.0.0.0/8'",
    ])
  })

  it('is not waited for without end, and says so while there is none', async () => {
    const timers = handTimers()
    const signals: AbortSignal[] = []
    const list = listOf(
      {
        load(signal) {
          signals.push(signal)
          return signals.length === 1 ? new Promise<string[]>(() => {}) : Promise.resolve(['192.0.2.1'])
        },
      },
      timers.after,
    )
    await timers.fire(30_000)
    await timers.fire(1_000)
    await list.ready
    expect([signals[0]?.aborted, signals[1]?.aborted]).toEqual([true, false])
    await turn()
    expect(warnings).toEqual([
      'guard.ip.deny: there is no list yet, and nobody passes it: nothing came of it within 30 s',
    ])
  })

  it('is asked for no more once it is disposed of', async () => {
    const timers = handTimers()
    const coming = deferred<string[]>()
    const list = listOf({ load: () => coming.promise }, timers.after)
    list[Symbol.dispose]()
    coming.reject(new Error('late'))
    await turn()
    expect([timers.waits, list.loaded]).toEqual([[], false])
    await turn()
    expect(warnings).toEqual([])
  })
})

describe('a wrong source', () => {
  const takes =
    "takes a list of ranges, { file: 'denied.txt' }, { load: () => [...], every: '5m' } or what has(address)"
  it.each([
    ['10.0.0.0/8', `guard.ip.deny: got '10.0.0.0/8', ${takes}`],
    [undefined, `guard.ip.deny: got nothing, ${takes}`],
    [{ file: '' }, "guard.ip.deny.file: got '', takes a path such as 'denied.txt'"],
    [{ file: 'a', pol: 1 }, 'guard.ip.deny.pol: unknown option, did you mean poll?'],
    [{ file: 'a', poll: 0 }, 'guard.ip.deny.poll: got 0, takes more than 0'],
    [{ load: 'a' }, "guard.ip.deny.load: got 'a', takes a function"],
    [{ every: '5m' }, 'guard.ip.deny.load: got nothing, takes a function'],
    [{ load: () => [], every: 'soon' }, "guard.ip.deny.every: got 'soon', takes milliseconds or a text"],
    [{ has: () => true, size: 1 }, 'guard.ip.deny: got a set of addresses, takes what one is made of'],
  ])('%j is told', (source, message) => {
    expect(() => listOf(source as never)).toThrow(message)
  })
})
