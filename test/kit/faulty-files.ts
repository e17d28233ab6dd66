import fs, { type FileHandle } from 'node:fs/promises'
import type { FileSystem } from '@sluice/cache'

/** A call of the file system. */
export interface FileCall {
  readonly call: 'open' | 'rename' | 'unlink' | 'mkdir' | 'readdir' | 'read' | 'write' | 'stat' | 'close'
  readonly path: string
  /** How a file is opened. */
  readonly flags?: string
  /** Bytes that are read or written. */
  readonly bytes?: number
}

/**
 * The file system, for a store under test. Every call is shown to `before`, which may make it wait, or fail by throwing an error such as
 * {@link systemError} gives.
 */
export function faultyFiles(before: (call: FileCall) => void | Promise<void>): FileSystem {
  const watched = (file: FileHandle, path: string): FileHandle =>
    new Proxy(file, {
      get(target, name) {
        const method = Reflect.get(target, name, target) as unknown
        if (typeof method !== 'function') return method
        return async (...args: unknown[]) => {
          if (name === 'read' || name === 'write')
            await before({ call: name, path, bytes: args[2] as number })
          else if (name === 'stat') await before({ call: name, path })
          // Closed in any case, as a real one is that fails.
          const done: unknown = await Reflect.apply(method, target, args)
          if (name === 'close') await before({ call: name, path })
          return done
        }
      },
    })
  return {
    open: async (path, flags, mode) => {
      await before({ call: 'open', path: String(path), flags: String(flags) })
      return watched(await fs.open(path, flags, mode), String(path))
    },
    rename: async (from, to) => {
      await before({ call: 'rename', path: String(to) })
      return fs.rename(from, to)
    },
    unlink: async (path) => {
      await before({ call: 'unlink', path: String(path) })
      return fs.unlink(path)
    },
    mkdir: (async (path: string, options: object) => {
      await before({ call: 'mkdir', path })
      return fs.mkdir(path, options)
    }) as FileSystem['mkdir'],
    readdir: (async (path: string) => {
      await before({ call: 'readdir', path })
      return fs.readdir(path)
    }) as FileSystem['readdir'],
  }
}

/** An error as the system gives it. */
export function systemError(code: string, syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: as the test wants it, ${syscall}`), { code, syscall })
}
