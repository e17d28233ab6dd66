import type { IncomingMessage, ServerResponse } from 'node:http'
import connect from 'connect'
import express from 'express'
import express4 from 'express4'

/** A middleware as all of these frameworks take it. */
// biome-ignore lint/suspicious/noExplicitAny: each types its middlewares in its own way
export type AnyMiddleware = (req: any, res: any, next: any) => unknown
/** Hears errors. */
// biome-ignore lint/suspicious/noExplicitAny: as above
export type AnyErrorMiddleware = (error: any, req: any, res: any, next: any) => unknown

/** What the apps of these frameworks have in common. */
export interface App {
  (req: IncomingMessage, res: ServerResponse): void
  use(middleware: AnyMiddleware | AnyErrorMiddleware): unknown
  use(path: string, middleware: AnyMiddleware | AnyErrorMiddleware): unknown
}

/** Each framework that a proxy is mounted in. */
export const frameworks: readonly { readonly name: string; app(): App }[] = [
  { name: 'Express 5', app: () => express() as unknown as App },
  { name: 'Express 4', app: () => express4() as unknown as App },
  { name: 'Connect', app: () => connect() as unknown as App },
]
