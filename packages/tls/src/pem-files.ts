import { createPrivateKey, randomUUID, X509Certificate } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { pemBlocks } from './pem.js'

/** A certificate and its key, each in PEM. */
export interface PemPair {
  readonly cert: string
  readonly key: string
}

/** What a file holds; `undefined` where there is none. */
export async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'latin1')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** A certificate and its key in one file, so that both are of one writing; `undefined` where there is none, or nothing that fits together. */
export async function readPemPair(file: string): Promise<PemPair | undefined> {
  const text = (await readText(file)) ?? ''
  const blocks = pemBlocks(text)
  const [cert, key] = ['CERTIFICATE', 'PRIVATE KEY'].map(
    (label) => blocks.find((each) => each.label === label)?.text,
  )
  if (cert === undefined || key === undefined) return undefined
  try {
    return new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)) ? { cert, key } : undefined
  } catch {
    return undefined
  }
}

/**
 * Makes a file that only its owner may read, as a whole, unless it is there.
 * @returns whether it is this one
 */
export async function writeFirst(file: string, text: string): Promise<boolean> {
  const beside = `${file}.${randomUUID()}`
  try {
    await writeFile(beside, text, { mode: 0o600, flag: 'wx' })
    await link(beside, file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(beside, { force: true })
  }
}
