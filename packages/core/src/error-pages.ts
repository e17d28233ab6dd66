import { type HeaderList, has } from '@sluice/headers'
import { parse } from '@sluice/options'
import type { Handler, Layer } from './chain.js'
import { appError, appFault, fieldFault, replyFault } from './check-reply.js'
import type { Context } from './context.js'
import { endsConnection, retryAfterOf } from './error-reply.js'
import { Exchange } from './exchange.js'
import { asOwnPage } from './own-page.js'
import { builtInPage, html, type Page, type PageError, textPage, titleOf } from './page.js'
import { errorPagesOptions } from './page-options.js'
import { asProxyError, type ProxyError } from './proxy-error.js'
import { discard, type Reply, unhandled } from './reply.js'
import { report } from './report.js'
import { statusFields } from './status-fields.js'

/** Pages by status: `404`, then `'4xx'` or `'5xx'`, then `default`. */
export type Pages<C extends Context = Context> = { [status: number]: Page<C> } & {
  '4xx'?: Page<C>
  '5xx'?: Page<C>
  default?: Page<C>
}

/** Options of {@link errorPages}. */
export interface ErrorPagesOptions<C extends Context = Context> {
  pages: Pages<C>
  /**
   * Statuses of replies from further in that a page replaces too. Default none: what a target says of an error is its own.
   * A client that reads a target's error bodies (an API's, say) loses them.
   */
  intercept?: readonly (number | '4xx' | '5xx')[]
}

/**
 * Answers errors that are thrown further in with pages of one's own, and with `intercept` replaces replies of those statuses.
 * Where no page is given, and where one fails (which is reported), a built-in one says the status and nothing else. Pages
 * are never stored (`no-store`), and a connection that an error ends still ends.
 *
 * `unhandled` passes: others may follow, and the layer can't know. Where none does (no `next`), the page for 404 answers it,
 * if there is one.
 * @throws TypeError for a wrong option
 */
export function errorPages<C extends Context>(options: ErrorPagesOptions<NoInfer<C>>): Layer<C> {
  parse(errorPagesOptions, options, 'errorPages')
  const { pages, intercept = [] } = options
  const replaced = intercept.length === 0 ? undefined : statusSet(intercept)
  return (next) => (ctx) => answer(next, ctx, pages, replaced)
}

async function answer<C extends Context>(
  next: Handler<C>,
  ctx: C,
  pages: Pages<C>,
  replaced: ReadonlySet<number> | undefined,
): Promise<Reply> {
  let reply: Reply
  try {
    reply = await next(ctx)
  } catch (thrown) {
    const error = asProxyError(thrown)
    // Nobody is there to see a page.
    if (error.code === 'client_left') throw error
    // The mount, which would do both, hears of no error.
    report(error, ctx)
    if (ctx instanceof Exchange) ctx.failed(error)
    return asOwnPage(await pageFor(error.status, error, pages, ctx))
  }
  if (reply === unhandled) {
    if (ctx instanceof Exchange && pageOf(pages, 404) !== undefined)
      ctx.unhandledPage ??= () => pageFor(404, undefined, pages, ctx)
    return reply
  }
  if (replaced === undefined || !replaced.has(reply?.status)) return reply
  discard(reply)
  const page = await pageFor(reply.status, undefined, pages, ctx)
  keep(reply.headers, page)
  return asOwnPage(page)
}

/** The page for a status, whatever becomes of the app's own one. */
async function pageFor<C extends Context>(
  status: number,
  error: ProxyError | undefined,
  pages: Pages<C>,
  ctx: C,
): Promise<Reply> {
  const told: PageError = {
    status,
    title: titleOf(status),
    ...(error === undefined ? {} : { code: error.code }),
  }
  const page = pageOf(pages, status) ?? builtInPage
  let reply: Reply
  if (typeof page === 'function') {
    const who = `the error page for ${status}`
    try {
      reply = checked(who, await page(told, ctx), told)
    } catch (thrown) {
      report(appError(who, thrown), ctx)
      reply = textPage(builtInPage, told, acceptOf(ctx))
    }
  } else reply = textPage(page, told, acceptOf(ctx))
  if (!has(reply.headers, 'cache-control')) reply.headers.push('cache-control', 'no-store')
  if (error === undefined) return reply
  const after = retryAfterOf(error)
  if (after !== undefined && !has(reply.headers, 'retry-after')) reply.headers.push('retry-after', after)
  if (endsConnection(error) && !has(reply.headers, 'connection')) reply.headers.push('connection', 'close')
  if (error.headers !== undefined) reply.headers.push(...error.headers)
  return reply
}

function pageOf<C extends Context>(pages: Pages<C>, status: number): Page<C> | undefined {
  return pages[status] ?? pages[status < 500 ? '4xx' : '5xx'] ?? pages.default
}

/** What a function gave as a page, as a reply of its own: it may give the same one many times. */
function checked(who: string, given: Reply | string, told: PageError): Reply {
  if (typeof given === 'string') return html(given, told)
  const wrong = replyFault(given) ?? fieldFault(given.headers)
  if (wrong === undefined && given.status !== 101) return { ...given, headers: given.headers.slice() }
  discard(given)
  throw appFault(who, wrong ?? 'a reply with the status 101')
}

/** As the client sent it: layers further in may have changed what goes out. */
function acceptOf({ req }: Context): string | undefined {
  return req.headers.accept
}

function keep(from: HeaderList, { headers }: Reply): void {
  const own = headers.slice()
  const told = statusFields(from)
  for (let i = 0; i < told.length; i += 2) {
    const name = told[i] as string
    // What the page itself says counts.
    if (!has(own, name.toLowerCase())) headers.push(name, told[i + 1] as string)
  }
}

/** `[404, '5xx']` as the statuses that it names. */
function statusSet(list: readonly (number | '4xx' | '5xx')[]): ReadonlySet<number> {
  const set = new Set<number>()
  for (const each of list) {
    if (typeof each === 'number') set.add(each)
    else for (let i = 0, first = each === '4xx' ? 400 : 500; i < 100; i++) set.add(first + i)
  }
  return set
}
