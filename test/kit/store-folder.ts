import { readdirSync, readlinkSync, realpathSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** An empty folder for the files of a store. */
export interface StoreFolder {
  readonly path: string
  /** Paths of all files in it. */
  files(): string[]
  /** Descriptors of this process that are open on files in it; `undefined` where the system has no list of them. */
  descriptors(): number | undefined
  /** Removes it. */
  close(): Promise<void>
}

/** Makes an empty folder for the files of a store. */
export async function storeFolder(): Promise<StoreFolder> {
  const path = realpathSync(await mkdtemp(join(tmpdir(), 'sluice-')))
  return {
    path,
    files: () =>
      readdirSync(path, { recursive: true, withFileTypes: true })
        .filter((each) => each.isFile())
        .map((each) => join(each.parentPath, each.name)),
    descriptors: () => {
      let names: string[]
      try {
        names = readdirSync('/proc/self/fd')
      } catch {
        return undefined
      }
      return names.filter((name) => target(name)?.startsWith(path)).length
    },
    close: () => rm(path, { recursive: true, force: true }),
  }
}

function target(name: string): string | undefined {
  try {
    return readlinkSync(`/proc/self/fd/${name}`)
  } catch {
    // The descriptor of the listing itself has gone by now.
    return undefined
  }
}
