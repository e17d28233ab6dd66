export type { AcmeLock, AcmeStorage } from './acme-storage.js'
