import { chain, clientAddress, type Middleware } from '@sluice/core'

chain().use(clientAddress()).use(clientAddress())
