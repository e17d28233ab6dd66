export type { Store } from '@sluice/cache'
