import {
  type CompressOptions,
  type Compressor,
  compress,
  createCompressor,
  type DecompressRequestsOptions,
  decompressRequests,
} from '@sluice/compress'
import type { Client, Context, Layer } from '@sluice/core'

type Site = Context & Client

/** What a route has said of its answers, where it has said something: the layer that acts on it stands further out than the routes. */
const ofRoute = Symbol('sluice.compressor')

interface Routed {
  [ofRoute]?: Compressor | 'off'
}

/** Compression of a proxy: one layer outside of all else, which each route may tell to do otherwise. */
export class SiteCompression {
  readonly #options: CompressOptions | undefined
  readonly #compressor: Compressor | undefined
  #byRoute = false

  constructor(options: boolean | CompressOptions | undefined) {
    this.#options = typeof options === 'object' ? options : options === true ? {} : undefined
    this.#compressor = this.#options && createCompressor(this.#options)
  }

  /**
   * What tells the layer that a route wants something else than the proxy does; nothing where it doesn't. Called for each route before `layer`.
   * @throws TypeError that names the option
   */
  route(own: boolean | CompressOptions | undefined, index: number): Layer<Site>[] {
    const on = this.#options !== undefined
    if (own === undefined || own === on) return []
    this.#byRoute = true
    const path = `routes[${index}].compress`
    const wanted =
      own === false ? 'off' : createCompressor(own === true ? {} : { ...this.#options, ...own }, path)
    return [
      (next) => (ctx) => {
        ;(ctx as Routed)[ofRoute] = wanted
        return next(ctx)
      },
    ]
  }

  /** The layer, if anything is to be compressed. */
  layer(): Layer<Site>[] {
    const compressor = this.#compressor
    if (!this.#byRoute) return compressor === undefined ? [] : [compress(compressor)]
    const choose = (ctx: Site): Compressor | undefined => {
      const own = (ctx as Routed)[ofRoute]
      return own === 'off' ? undefined : (own ?? compressor)
    }
    return [compress<Site>(compressor ?? {}, choose)]
  }
}

/** What decodes the bodies of requests, where that is on. */
export function requestDecoding(
  options: boolean | DecompressRequestsOptions | undefined,
  path?: string,
): Layer<Site>[] {
  if (options === undefined || options === false) return []
  return [decompressRequests(options === true ? {} : options, path)]
}
