import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { beforeEach, expect, it } from 'vitest'
import { owner } from '../../../test/kit/owner.js'
import { skipUnless } from '../../../test/kit/skip.js'
import { trapUnhandled } from '../../../test/kit/trap-unhandled.js'
import { until } from '../../../test/kit/until.js'
import { FileWatch } from './index.js'

trapUnhandled()
const own = owner()
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-watch-'))
  own({ close: () => rmSync(folder, { recursive: true, force: true }) })
})

const at = (...names: string[]): string => join(folder, ...names)

function put(name: string, text = name): void {
  mkdirSync(dirname(at(name)), { recursive: true })
  writeFileSync(at(name), text)
}

/** Moves a link, as `ln -sfn` and Kubernetes do: never a moment without one. */
function link(to: string, name: string): void {
  symlinkSync(to, at(`${name}.new`))
  renameSync(at(`${name}.new`), at(name))
}

async function watching(name: string) {
  const failures: unknown[] = []
  let told = 0
  const watch = new FileWatch(
    at(name),
    () => told++,
    (error) => failures.push(error),
  )
  own({ close: () => watch[Symbol.dispose]() })
  await watch.arm()
  return {
    failures,
    get told() {
      return told
    },
    /** Waits until something is told of what `change` does, and looks where the way leads now. */
    async sees(change: () => void): Promise<void> {
      await new Promise((resolve) => setImmediate(resolve))
      const before = told
      change()
      await until(() => told > before, 'word of a change')
      await watch.arm()
    },
  }
}

it('tells of a file that is written to, renamed over, removed and made again, more than once', async () => {
  put('a')
  const { sees, failures } = await watching('a')
  for (let i = 0; i < 2; i++) {
    await sees(() => put('a', `${i}`))
    await sees(() => {
      put('b')
      renameSync(at('b'), at('a'))
    })
    await sees(() => unlinkSync(at('a')))
    await sees(() => put('a'))
  }
  expect(failures).toEqual([])
})

it('tells of links that lead elsewhere, wherever in the path they stand', async () => {
  put('one/a')
  put('two/a')
  put('three/b')
  link('one', 'folder')
  link('folder/a', 'file')
  const { sees } = await watching('file')
  await sees(() => link('two', 'folder'))
  await sees(() => put('two/a', 'x'))
  await sees(() => link(at('three'), 'folder'))
  await sees(() => link('folder/b', 'file'))
  await sees(() => put('three/b', 'x'))
})

it('tells of a file in a folder of links, as one in a link’s folder is, and of none that it does not lead to', async () => {
  put('..v1/a')
  put('..v2/a')
  link('..v1', '..data')
  link('..data/a', 'a')
  const watch = await watching('a')
  await watch.sees(() => link('..v2', '..data'))
  const before = watch.told
  put('..v1/a', 'x')
  put('..v2/other')
  put('other')
  await watch.sees(() => put('..v2/a', 'x'))
  // Writing truncates first, so it may be told twice.
  expect(watch.told).toBeLessThanOrEqual(before + 2)
})

it('tells of folders that come, go and are replaced', async () => {
  const { sees } = await watching('in/deep/a')
  await sees(() => mkdirSync(at('in')))
  await sees(() => mkdirSync(at('in/deep')))
  await sees(() => put('in/deep/a'))
  await sees(() => {
    renameSync(at('in/deep'), at('in/old'))
    put('in/deep/a', 'new')
  })
  await sees(() => put('in/deep/a', 'newer'))
  await sees(() => rmSync(at('in/deep'), { recursive: true }))
  await sees(() => put('in/deep/a'))
})

it('gives up on links in a circle', async () => {
  symlinkSync('b', at('a'))
  symlinkSync('a', at('b'))
  const { sees } = await watching('a')
  await sees(() => {
    unlinkSync(at('b'))
    put('b')
  })
})

/** Folders that the process has the system watch. */
function watched(): number {
  return readdirSync('/proc/self/fd')
    .filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).includes('inotify')
      } catch {
        return false
      }
    })
    .map((fd) => readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8').match(/^inotify wd:/gm)?.length ?? 0)
    .reduce((sum, each) => sum + each, 0)
}

it.skipIf(skipUnless(process.platform === 'linux', 'there is no /proc'))(
  'leaves no watch behind, however often the way changes',
  async () => {
    put('v0/a')
    link('v0', 'now')
    const before = watched()
    const watch = new FileWatch(
      at('now/a'),
      () => {},
      () => {},
    )
    await watch.arm()
    const most = watched()
    expect(most).toBe(before + 2)
    for (let i = 1; i <= 20; i++) {
      put(`v${i}/a`)
      link(`v${i}`, 'now')
      rmSync(at(`v${i - 1}`), { recursive: true })
      await watch.arm()
    }
    await until(() => watched() === most, 'as many as at first')
    const arming = watch.arm()
    watch[Symbol.dispose]()
    await arming
    expect(watched()).toBe(before)
  },
)
