import type { Engine } from './engine.js'
import type { RequestDirectives } from './policy/request-directives.js'
import type { Entry } from './store.js'

/**
 * Whether a request can have what another fetches: not where it wants its own asked for, or each has to. Those would wait for nothing.
 * @param entry what is stored and can't be served as it is
 */
export function mayShare(engine: Engine, ask: RequestDirectives, entry: Entry | undefined): boolean {
  if (!engine.settings.coalesce || ask.noCache || ask.maxAge === 0) return false
  if (entry === undefined) return true
  const { life } = engine.prepareEntry(entry)
  return life.revalidate !== 'always' && life.freshFor > 0
}
