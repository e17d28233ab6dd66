/**
 * Loads what an `AcmeClient` uses with its first request, which blocks for some tenths of a second. Whoever holds a lock that has to be
 * extended does it before.
 */
export async function loadClient(): Promise<void> {
  await Promise.all([import('undici'), import('jose')])
}
