import { chain, clientAddress, type Middleware } from '@sluice/core'
chain().use(clientAddress()).handle((ctx) => ({ status: 200, headers: [], body: ctx.client.address }))