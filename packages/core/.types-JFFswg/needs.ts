import { chain, clientAddress, type Middleware } from '@sluice/core'

declare const audited: Middleware<{ auditor: string }, {}>
chain().use(audited)
