import type { CorsOptions } from './cors-options.js'
import { saidAtOnce } from './said-at-once.js'

/**
 * Says whether pages of an origin may read answers.
 * @param path of the option, for errors
 */
export function originSet(origins: CorsOptions['origins'], path: string): (origin: string) => boolean {
  if (typeof origins === 'function') return (origin) => saidAtOnce(origins(origin), path) === true
  if (origins === '*') return () => true
  const exact = new Set(origins.filter((origin) => !origin.includes('://*.')))
  // `https://*.a.example:8443` as what stands before and behind the star.
  const below = origins
    .filter((origin) => origin.includes('://*.'))
    .map((origin) => origin.split('*') as [string, string])
  return (origin) =>
    exact.has(origin) ||
    below.some(([scheme, rest]) => {
      const name = origin.slice(scheme.length, -rest.length)
      return origin.startsWith(scheme) && origin.endsWith(rest) && /^[a-z\d_-]+(\.[a-z\d_-]+)*$/.test(name)
    })
}
