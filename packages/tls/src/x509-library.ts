import { createRequire } from 'node:module'

type X509 = typeof import('@peculiar/x509')

const require = createRequire(import.meta.url)

/** The library for certificates that Node can't write, loaded with its first use: that takes 50 ms. Where that fails, the next call tries again. */
export async function x509Library(): Promise<X509> {
  // It asks for decorator metadata before it loads.
  require('reflect-metadata')
  return require('@peculiar/x509') as X509
}
