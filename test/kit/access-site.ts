import type { Client, Context, Layer } from '@sluice/core'
import { onError } from '@sluice/core'
import type { Front, FrontKind, FrontOptions } from './fronts.js'
import { answerOk, type Origin, type OriginHandler, originServer } from './origin-server.js'
import type { owner } from './owner.js'

type Own = ReturnType<typeof owner>

/** A front with layers of access before a target. */
export interface AccessSite extends Pick<Front, 'client' | 'port'> {
  readonly origin: Origin
  /** What was refused, as a log has it: `401 credentials-wrong`. */
  readonly refused: string[]
  /** What targets have got in a field, by requests. */
  told(name: string): (string[] | undefined)[]
}

/** Puts layers between a front and a target that answers 200 with `ok`, unless another is given. */
export async function accessSite(
  own: Own,
  kind: FrontKind,
  layers: readonly Layer<Context & Client>[],
  handler: OriginHandler = answerOk,
  more: Partial<FrontOptions> = {},
): Promise<AccessSite> {
  const origin = own(await originServer(handler))
  const refused: string[] = []
  const heard = onError<Context & Client>(
    ({ status, reason = '' }) => void refused.push(`${status} ${reason}`),
  )
  const front = own(await kind.start({ targets: origin.url, use: [heard, ...layers], ...more }))
  return {
    port: front.port,
    client: front.client,
    origin,
    refused,
    told: (name: string) =>
      origin.requests.map(({ rawHeaders }) => {
        const found = rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name)
        return found.length === 0 ? undefined : [...found]
      }),
  }
}
