import { type Duration, duration, parse, positiveDuration, secret, that, v } from '@sluice/options'
import { type After, later } from './after.js'
import { type CertificateFault, tellFault } from './certificate-fault.js'
import type { CertificateInfo } from './certificate-info.js'
import type { CertificateFiles } from './certificate-source.js'
import type { LiveKeyPair } from './key-pair.js'
import { WatchedPair } from './watched-pair.js'

/** Options of {@link keyPairFiles}. */
export interface KeyPairFilesOptions {
  /** From the first sign of a change to the reading, so that the second file of a pair is there too. Default 100ms. */
  debounce?: Duration
  /** The files are looked at that often in any case, for file systems that tell of no change. Default 30s. */
  poll?: Duration
  /** Hears what is wrong with the files once the pair is made; the last good one is kept. */
  onFault?: (fault: CertificateFault) => void
}

/** What {@link keyPairFiles} takes from outside, to be replaced in tests. */
export interface KeyPairFilesSeams {
  /** Milliseconds since 1970. Default `Date.now`. */
  now?: () => number
  /** Default a timer that holds no process open. */
  after?: After
}

/** A pair in files: whoever takes a `LiveKeyPair` takes it, a target's `tls.identity` and `certificates` among them. */
export interface KeyPairFiles extends LiveKeyPair, Disposable {
  /** What there is to know of the current certificate, for `watchExpiry`. */
  infos(): readonly CertificateInfo[]
}

const file = that<string>(
  (value) => typeof value === 'string' && value !== '' && !value.includes('\0'),
  "a path such as '/etc/tls/tls.crt'",
)

const filesSchema = v.strictObject({
  certFile: file,
  keyFile: file,
  passphrase: v.optional(secret<string>((value) => typeof value === 'string', 'a text')),
})

const optionsSchema = v.strictObject({
  debounce: v.optional(duration(), 100),
  poll: v.optional(positiveDuration(), 30_000),
  onFault: v.optional(
    that<(fault: CertificateFault) => void>((value) => typeof value === 'function', 'a function'),
  ),
})

/**
 * A certificate and its key in two files (or one), read at once, and again whenever they change: written in place, renamed over,
 * behind a link that leads elsewhere (Kubernetes' secrets), removed and made again. Nobody who is connected notices.
 *
 * A pair that isn't good (half of it is new, the key doesn't fit, it has expired, it is gone) changes nothing: the last good one stays, that is
 * told once by `onFault`, `DEBUG=sluice:tls` and the channel `sluice:tls:certificate`, and the files are looked at again after 1 s, 2 s, 4 s… up to
 * `poll`, and whenever they change. It holds no process open; dispose of it to stop watching.
 * @param path where the files stand in what the user wrote, for errors
 * @throws TypeError for a wrong option, and for files that hold no good pair now; it names option or file, and shows no key
 */
export function keyPairFiles(
  files: CertificateFiles,
  options: KeyPairFilesOptions = {},
  path = 'keyPairFiles',
  seams: KeyPairFilesSeams = {},
): KeyPairFiles {
  const { onFault, ...times } = parse(optionsSchema, options, path)
  const { now = Date.now, after = later } = seams
  return new WatchedPair(
    readFiles(files, path),
    { ...times, now, after, fault: (fault) => tellFault(fault, onFault) },
    path,
  )
}

/**
 * The files of a store, with nobody told of their faults but the store.
 * @throws TypeError as {@link keyPairFiles} does
 */
export function storedPairFiles(
  files: CertificateFiles,
  fault: (fault: CertificateFault) => void,
  path: string,
  seams: Required<KeyPairFilesSeams>,
): KeyPairFiles {
  const times = parse(optionsSchema, {}, path)
  return new WatchedPair(
    readFiles(files, path),
    { ...times, now: seams.now, after: seams.after, fault },
    path,
  )
}

function readFiles(files: CertificateFiles, path: string): CertificateFiles {
  const read: unknown = parse(filesSchema, files, path)
  return read as CertificateFiles
}
