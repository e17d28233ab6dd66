export { alpnChallenges, type ChallengeAnswer } from './alpn-challenges.js'
export { type AlternativeName, alternativeNames } from './alternative-names.js'
export type { CertificateFault } from './certificate-fault.js'
export type { CertificateInfo, ChainEnd } from './certificate-info.js'
export type {
  CertificateFiles,
  CertificateOrigin,
  CertificateProvider,
  CertificateSource,
} from './certificate-source.js'
export type { CertificateStore, ContextSettings, ServerContexts } from './certificate-store.js'
export { certificates } from './certificates.js'
export { clientCert, clientCertChain, parseClientCert } from './client-cert-fields.js'
export { type ClientCertificate, clientCertificate } from './client-certificate.js'
export type { ClientCertificateOptions, PassedCertificate } from './client-certificate-options.js'
export { type ClientHello, longestHello, readClientHello } from './client-hello.js'
export type { ClientAuthorities, ClientMode, ClientTrust, Pem } from './client-trust.js'
export type { ServerCertificates } from './context-table.js'
export { type DevCertificate, type DevCertificateOptions, devCertificate } from './dev-certificate.js'
export { type HstsOptions, hsts } from './hsts.js'
export {
  type CertificateMaterial,
  Identity,
  type KnownIssuers,
  type PairPlace,
  readIdentity,
} from './identity.js'
export { issuerChain } from './issuer-chain.js'
export type { KeyPair, LiveKeyPair } from './key-pair.js'
export {
  type KeyPairFiles,
  type KeyPairFilesOptions,
  type KeyPairFilesSeams,
  keyPairFiles,
} from './key-pair-files.js'
export { type MustStaple, mustStaple } from './must-staple.js'
export type { OcspFetch } from './ocsp-fetch.js'
export { type OcspStapler, type OcspStaplerOptions, ocspStapler } from './ocsp-stapler.js'
export { type Preset, type PresetName, presets } from './presets.js'
export { type RedirectToHttpsOptions, redirectToHttps } from './redirect-to-https.js'
export { readServerName } from './server-name.js'
export { type ServerTls, serverTls } from './server-tls.js'
export type {
  AlpnChallenges,
  ServedCertificates,
  ServedStaples,
  ServerTlsOptions,
} from './server-tls-options.js'
export { type SniCallback, UnrecognizedNameError } from './sni-callback.js'
export { type CertificatesOptions, certificatesOptions, type StoreSeams } from './store-options.js'
export type { OcspEvent } from './tell-ocsp.js'
export { type TicketKeys, type TicketKeysOptions, ticketKeys } from './ticket-keys.js'
export {
  type CertificateExpiry,
  type CertificateHolder,
  type WatchExpiryOptions,
  type WatchExpirySeams,
  watchExpiry,
} from './watch-expiry.js'
export { type XfccField, xfccElement } from './xfcc.js'
