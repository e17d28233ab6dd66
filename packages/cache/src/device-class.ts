import { get, type HeaderList } from '@sluice/headers'

/** A class of devices that sites make pages of their own for. */
export type DeviceClass = 'mobile' | 'tablet' | 'desktop' | 'bot'

/** Longer ones are made up; they are read to here. */
const readAtMost = 512

// Cubot makes telephones.
const bot = /(?<!cu)bot(?![a-z])|crawl|spider|slurp|facebookexternalhit|preview|lighthouse|\b(?:curl|wget)\//i
const tablet = /ipad|tablet|playbook|silk(?!.*mobile)|kindle|android(?!.*mobile)/i
const mobile = /mobi|iphone|ipod|android|windows phone|blackberry|bb10|opera mini|opera mobi/i

/**
 * The class of the client's device, by `User-Agent` and, where that tells of no bot or tablet, `Sec-CH-UA-Mobile`. What is unknown is
 * `desktop`. A guess: for the key of a cache that is enough, since four values are all that it can add.
 */
export function deviceClass(headers: HeaderList): DeviceClass {
  const agent = get(headers, 'user-agent')?.slice(0, readAtMost) ?? ''
  if (bot.test(agent)) return 'bot'
  if (tablet.test(agent)) return 'tablet'
  const hint = get(headers, 'sec-ch-ua-mobile')
  if (hint === '?1') return 'mobile'
  if (hint === '?0') return 'desktop'
  return mobile.test(agent) ? 'mobile' : 'desktop'
}
