export { BetterForms, type BetterFormsSettings } from './better-forms.js'
export type { EtagMode } from './coded-fields.js'
export { type Coding, codings } from './coding.js'
export { type CompressOptions, compressOptions } from './compress-options.js'
export { type CompressRequestsSeams, compressRequests } from './compress-requests.js'
export { type CompressRequestsOptions, compressRequestsOptions } from './compress-requests-options.js'
export { compression } from './compression.js'
export type { CompressionOptions, ConnectCoding } from './compression-options.js'
export { type AskedCoding, Compressor, type CompressRequest, createCompressor } from './compressor.js'
export { DecodeError, type DecodeFault } from './decode-error.js'
export { type DecodeLimits, decodeBody } from './decoded-body.js'
export { decodable } from './decoder.js'
export { type DecompressOptions, decompress } from './decompress.js'
export {
  type DecompressRequestsOptions,
  decompressRequests,
  decompressRequestsOptions,
} from './decompress-requests.js'
export { Dictionaries, type DictionaryCase, type DictionaryRequest } from './dictionaries.js'
export type { DictionaryCoding, DictionarySupport } from './dictionary-coding.js'
export {
  type DictionaryOptions,
  type DictionaryRule,
  type DictionarySettings,
  dictionaryOptions,
  type GivenDictionary,
  resolveDictionaries,
} from './dictionary-options.js'
export { dictionarySupport } from './dictionary-support.js'
export { encodeOnce } from './encode-once.js'
export { type EncodeOptions, encodeBody } from './encoded-body.js'
export { createEncoder, type EncoderOptions, encodeSync } from './encoder.js'
export { Levels } from './level.js'
export { type ChooseCompressor, compress } from './middleware.js'
export { acceptEncodingOf, type Chosen, Negotiation } from './negotiate.js'
export { poolPressure, poolProbe } from './pool-probe.js'
export { Pressure, type PressureSeams, type Probe } from './pressure.js'
export { sharedDictionaries } from './shared-dictionaries.js'
export type { Timers } from './timers.js'
export { isCompressible, type WhyNot } from './worth.js'
