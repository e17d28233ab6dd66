import { STATUS_CODES } from 'node:http'
import { preferredType } from '@sluice/headers'
import type { Context } from './context.js'
import type { ProxyErrorCode } from './proxy-error.js'
import type { Reply } from './reply.js'

/** What a page may tell of an error. There is no message in it: that is for the log, and names targets. */
export interface PageError {
  readonly status: number
  /** The error's code; nothing where a reply of that status is replaced. */
  readonly code?: ProxyErrorCode
  /** The status in words, such as `Bad Gateway`. */
  readonly title: string
}

/**
 * An error page: HTML, or one form for each kind of client, or a function that makes it. In texts `{status}` and `{title}` stand
 * for those of the error, escaped for the form that they are in; other braces are left as they are.
 */
export type Page<C extends Context = Context> =
  | string
  | PageForms
  | ((error: PageError, ctx: C) => Reply | string | Promise<Reply | string>)

/** The forms of a page. The client's `Accept` chooses; JSON, else HTML, else text where it has no preference. */
export interface PageForms {
  html?: string | undefined
  /** JSON as text. */
  json?: string | undefined
  text?: string | undefined
}

/** A page that is text, in the form that the client takes. */
export function textPage(page: string | PageForms, error: PageError, accept: string | undefined): Reply {
  if (typeof page === 'string') return html(fill(page, error, escapeHtml), error)
  const types = (Object.keys(forms) as Type[]).filter((type) => page[forms[type]] !== undefined)
  // RFC 9110 section 12.5.1: a client that takes none of them gets one all the same, since the status is what counts.
  const type = preferredType(accept, types) ?? (types[0] as Type)
  const body = fill(page[forms[type]] as string, error, escapes[type])
  const headers = ['content-type', type === 'application/json' ? type : `${type}; charset=utf-8`]
  if (types.length > 1) headers.push('vary', 'Accept')
  return { status: error.status, headers, body }
}

/** An answer of a function: what it gives as text is HTML, as it is. */
export function html(text: string, { status }: PageError): Reply {
  return { status, headers: ['content-type', 'text/html; charset=utf-8'], body: text }
}

/** The page where there is none of one's own: it says the status and nothing of who serves. */
export const builtInPage: PageForms = {
  json: '{"status":{status},"title":"{title}"}\n',
  html:
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{status} {title}</title></head>\n' +
    '<body><h1>{status} {title}</h1></body></html>\n',
}

/** A status in words. */
export function titleOf(status: number): string {
  return STATUS_CODES[status] ?? 'Error'
}

/** A form of a page with its places filled. */
export function fill(text: string, { status, title }: PageError, escape: (text: string) => string): string {
  return text.replaceAll('{status}', () => String(status)).replaceAll('{title}', () => escape(title))
}

const forms = { 'application/json': 'json', 'text/html': 'html', 'text/plain': 'text' } as const
type Type = keyof typeof forms

const escapes: Record<Type, (text: string) => string> = {
  'application/json': (text) => JSON.stringify(text).slice(1, -1),
  'text/html': escapeHtml,
  'text/plain': (text) => text,
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
