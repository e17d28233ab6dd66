import { createRequire } from 'node:module'

// Where it fails, for want of a file to open say, the next call tries again: what `import()` has failed at it may fail at until a restart, and
// certificates run out.
const require = createRequire(import.meta.url)

/**
 * Looks where the packages are that are loaded with an order, which takes a millisecond, while there are files to open: what Node 20 couldn't read of
 * a package once, is not there for it until a restart.
 */
export function findPackages(): void {
  for (const name of ['undici', 'jose', 'reflect-metadata', '@peculiar/x509']) {
    try {
      require.resolve(name)
    } catch {
      // Whoever loads it says so.
    }
  }
}

/** Nobody pays for undici who orders no certificate. */
export function loadUndici(): typeof import('undici') {
  return require('undici') as typeof import('undici')
}

/** Nobody pays for jose who has no account. */
export async function loadJose(): Promise<typeof import('jose')> {
  try {
    return require('jose') as typeof import('jose')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EMFILE' || code === 'ENFILE') throw error
    // Node 22 takes no modules by `require` before 22.12, no Node one that an `import()` is loading, and bundlers follow this alone.
    return import('jose')
  }
}

/**
 * Loads what an `AcmeClient` uses with its first request, which blocks for some tenths of a second. Whoever holds a lock that has to be
 * extended does it before.
 */
export async function loadClient(): Promise<void> {
  loadUndici()
  await loadJose()
}
