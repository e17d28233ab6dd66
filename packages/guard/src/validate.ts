import { type Middleware, ProxyError } from '@sluice/core'
import { requestJudge } from './request-judge.js'
import { type RequestRule, requestRules } from './request-rules.js'
import { withoutUnderscored } from './underscored-names.js'
import type { ValidateOptions } from './validate-options.js'

/**
 * Refuses what no honest client sends, and what servers read in two ways: above the framing that every mount judges, which can't be switched
 * off. A refusal is a `ProxyError` whose `reason` is the name of the rule, so that it can be counted; a client sees its status and nothing of
 * what it has sent. Stands outside of whatever reads paths, hosts or fields.
 * @param path where the options stand in what a user wrote
 * @throws TypeError for a wrong option
 */
export function validate(options: ValidateOptions = {}, path = 'validate'): Middleware {
  const judge = requestJudge(options, path)
  const dropsAll = options.underscores === 'drop'
  const allow = options.methods?.join(', ')
  return (next) => (ctx) => {
    const judged = judge(ctx)
    if (!judged.ok) throw refusalOf(judged.rule, allow)
    if (judged.drop) ctx.out.headers = withoutUnderscored(ctx.out.headers, dropsAll)
    return next(ctx)
  }
}

function refusalOf(rule: RequestRule, allow: string | undefined): ProxyError {
  const [code, message] = requestRules[rule]
  // RFC 9110 section 15.5.6: a 405 has to say which methods there are.
  const headers = rule === 'method-denied' && allow !== undefined ? { headers: ['allow', allow] } : undefined
  return new ProxyError(code, { reason: rule, message, ...headers })
}
