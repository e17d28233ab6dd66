import type { InboundRequest, InboundResponse } from '@sluice/core'
import { type BodyInit, discard, type Ingress, type Outbound, type Outcome, toBody } from '@sluice/core'
import type { Attempt, Timeouts } from '@sluice/forward'
import { withoutHopByHop } from '@sluice/headers'
import type { Target } from '@sluice/upstream'
import { outgoingPath } from './outgoing-path.js'
import type { ProxyServer } from './proxy-server.js'
import { frame, requestFields } from './request-fields.js'
import type { ParsedTarget, ServerOptions } from './server-options.js'
import { timeoutsOfCopy } from './timeouts-of.js'

/** A copy of a request for `options.forward`. Its answer is dropped; the client's leave ends it only in the middle of its body. */
export class ForwardCopy implements Attempt {
  readonly target: Target
  readonly out: Outbound
  readonly timeouts: Timeouts

  constructor(
    private readonly server: ProxyServer,
    private readonly req: InboundRequest,
    private readonly res: InboundResponse,
    private readonly options: ServerOptions,
    where: ParsedTarget,
    { out, authority }: Ingress,
    body: BodyInit,
  ) {
    this.target = server.targets.target(where, options)
    this.timeouts = timeoutsOfCopy(options)
    const method = options.method?.toUpperCase() ?? out.method
    const headers = withoutHopByHop(requestFields(req, out.headers.slice(), authority, options, where, false))
    const sent = toBody(body)
    frame(headers, sent === null ? 0 : sent.length, method)
    this.out = { method, path: outgoingPath(req.url as string, where, options), headers, body: sent }
  }

  inform(): void {}

  onClose<T>(_fn: (end: Outcome, arg: T) => void, _arg: T): void {}

  /** @throws ProxyError */
  async send(): Promise<void> {
    const { server, options, out, req, res } = this
    try {
      discard(await server.targets.transportOf(options, req, res).send(this))
    } catch (error) {
      // A transport that has sent nothing leaves it whole: unread, it would keep the rest from the target, or the client's next request from us.
      toBody(out.body)?.cancel(error as Error)
      throw error
    }
  }
}
