export type {
  CertificateFiles,
  CertificateOrigin,
  CertificateProvider,
  CertificateSource,
} from './certificate-source.js'
export type { KeyPair, LiveKeyPair } from './key-pair.js'
