import type { Middleware } from '@sluice/core'
import { Faults, parse } from '@sluice/options'
import { type AccessOptions, accessOptions } from './access-options.js'
import { basicAuth } from './basic-auth.js'
import { cors } from './cors.js'
import { forwardAuth } from './forward-auth.js'
import { askedByDefault } from './forward-auth-options.js'
import { jwt } from './jwt.js'
import { maintenance } from './maintenance.js'
import { requestId } from './request-id.js'
import { securityHeaders } from './security-headers.js'
import { signedUrl } from './signed-url.js'

/**
 * The layers that {@link AccessOptions} name, each for its place in a chain, which others stand between. What a layer adds to the context is there,
 * and has no type: where that is wanted, put them into a chain one by one.
 */
export interface AccessLayers {
  /** Outermost, behind the client's address. */
  readonly requestId?: Middleware
  /** Outside of all that may answer. */
  readonly securityHeaders?: Middleware
  /** Outside of all that costs work. */
  readonly maintenance?: Middleware
  /** Outside of `credentials`: browsers send none with their questions. */
  readonly cors?: Middleware
  /** Who may pass, in this order: signed URL, user or token, another service. Outside of caches. */
  readonly credentials: readonly Middleware[]
  /** Fields in which these tell targets who asks. What clients are asked for themselves, such as `Authorization`, isn't among them. */
  readonly identities: readonly string[]
  /** Lets go of connections to the service that is asked. When nothing is in flight any more. */
  close(): void
}

/**
 * Makes the layers of options, for `createProxy` and its like.
 * @param path what messages call the options
 * @throws TypeError for wrong options, all faults at once
 */
export function accessLayers(options: AccessOptions, path = 'access'): AccessLayers {
  const faults = new Faults()
  faults.collect(() => parse(accessOptions, options, path))
  /** What isn't options the schema has found already. */
  const make = <K extends keyof AccessOptions, T>(
    name: K,
    layer: (given: Exclude<AccessOptions[K], boolean | undefined>, path: string) => T,
  ): T | undefined => {
    const given: unknown = options?.[name] === true ? {} : options?.[name]
    if (typeof given !== 'object' || given === null) return undefined
    return faults.collect(() => layer(given as never, `${path}.${name}`))
  }
  const service = make('forwardAuth', forwardAuth)
  const layers = {
    requestId: untyped(make('requestId', requestId)),
    securityHeaders: make('securityHeaders', securityHeaders),
    maintenance: make('maintenance', maintenance),
    cors: make('cors', cors),
  }
  const credentials = [
    make('signedUrl', signedUrl),
    untyped(make('basic', basicAuth)),
    untyped(make('jwt', jwt)),
    service,
  ]
  faults.throwAny()
  return {
    ...(layers as { [K in keyof typeof layers]: Middleware }),
    credentials: credentials.filter((layer) => layer !== undefined),
    identities: identitiesOf(options),
    close: () => service?.[Symbol.dispose](),
  }
}

function identitiesOf({ basic, jwt: token, forwardAuth: service }: AccessOptions): string[] {
  const asked = new Set((service?.request ?? askedByDefault).map((name) => name.toLowerCase()))
  return [
    ...(basic?.header === undefined ? [] : [basic.header]),
    ...Object.keys(token?.headers ?? {}),
    ...(service?.copy ?? []).filter((name) => !asked.has(name.toLowerCase())),
  ]
}

/** What it adds is there for those who know. */
function untyped(layer: Middleware<{}, never> | Middleware<{}, object> | undefined): Middleware | undefined {
  return layer as unknown as Middleware | undefined
}
