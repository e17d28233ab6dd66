// Packages that stand at the root without types of their own there, as far as the tests use them.
declare module 'express4' {
  import type express from 'express'

  const express4: typeof express
  export default express4
}

// By its file: the types of Express stand on the name alone.
declare module 'body-parser/index.js' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  interface Options {
    type?: string
    limit?: string | number
    inflate?: boolean
    extended?: boolean
    verify?(req: IncomingMessage, res: ServerResponse, bytes: Buffer): void
  }
  type Parser = (req: IncomingMessage, res: ServerResponse, next: (error?: unknown) => void) => void
  const parsers: Record<'json' | 'urlencoded' | 'raw' | 'text', (options?: Options) => Parser>
  export default parsers
}
