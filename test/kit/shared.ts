import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const beside = fileURLToPath(new URL('../../../shared', import.meta.url))

/** The folder of test material that may lie beside the checkout; undefined where it doesn't. */
export const shared: string | undefined = existsSync(beside) ? beside : undefined
