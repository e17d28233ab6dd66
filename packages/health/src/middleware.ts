import type { Middleware, Reply } from '@sluice/core'
import { get, remove } from '@sluice/headers'
import { needUpstream, type Selected, type Upstream } from '@sluice/upstream'
import { readDeclaration } from './declaration.js'
import { declarationsOf } from './declarations.js'
import { type DeclaredOptions, resolveDeclared } from './declared-options.js'

/**
 * Takes targets at their word: an answer with `X-Health: draining` gives its target no new requests for a while, `degraded` puts
 * it behind the others, `ok` ends either. The field never reaches the client, whatever it says. It stands inside `balance`, which
 * adds the target. What a person has drained stays drained.
 *
 * Targets are believed: one that copies fields out of requests into answers lets its clients drain it.
 * @throws TypeError for a wrong option, or what is no upstream
 */
export function declared(upstream: Upstream, options: DeclaredOptions = {}): Middleware<Selected> {
  needUpstream(upstream, 'declared')
  const { header, for: ms } = resolveDeclared(options)
  const field = header.toLowerCase()
  const declarations = declarationsOf(upstream)
  return (next) => async (ctx) => {
    const reply: Reply = await next(ctx)
    const value = get(reply.headers, field)
    if (value === undefined) return reply
    remove(reply.headers, field)
    const said = readDeclaration(value)
    if (said !== undefined) declarations.say(ctx.target, said, 'answer', ms)
    return reply
  }
}
