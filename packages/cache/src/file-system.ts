import type { FileHandle } from 'node:fs/promises'
import fs from 'node:fs/promises'

/** What a file store uses of `node:fs/promises`, to be replaced in tests. */
export type FileSystem = Pick<typeof fs, 'open' | 'rename' | 'unlink' | 'mkdir' | 'readdir'>

/** The file system of the machine. */
export const fileSystem: FileSystem = fs

/** Reads from `at` until `into` is full or the file ends, and tells how many bytes. */
export async function readInto(file: FileHandle, into: Buffer, at: number): Promise<number> {
  let had = 0
  while (had < into.length) {
    const { bytesRead } = await file.read(into, had, into.length - had, at + had)
    if (bytesRead === 0) break
    had += bytesRead
  }
  return had
}

/** Writes all of it at `at`. */
export async function writeAll(file: FileHandle, bytes: Buffer, at: number): Promise<void> {
  let had = 0
  while (had < bytes.length) {
    const { bytesWritten } = await file.write(bytes, had, bytes.length - had, at + had)
    had += bytesWritten
  }
}

/** Whether an error says that there is no such file, nor a folder that it could be in. */
export function isNowhere(error: unknown): boolean {
  const code = codeOf(error)
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** The code of an error of the file system, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code
}
