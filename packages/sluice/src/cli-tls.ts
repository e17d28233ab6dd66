import type { TlsOptions } from './tls-option.js'

/** What the command line says of TLS. */
export interface CliTls {
  /** A certificate for this machine, made where there is none. */
  readonly https: boolean
  readonly cert: string | undefined
  readonly key: string | undefined
}

/** How to speak TLS, and what to trust it by where that isn't what everybody trusts. */
export interface ServedTls {
  readonly tls: TlsOptions
  /** As a shell takes it. */
  readonly caFile?: string
}

/** @throws TypeError for options that don't go together */
export function checkCliTls({ https, cert, key }: CliTls): void {
  if ((cert === undefined) !== (key === undefined))
    throw new TypeError(
      `${cert === undefined ? '--key' : '--cert'}: takes ${cert === undefined ? '--cert' : '--key'} beside it`,
    )
  if (https && cert !== undefined)
    throw new TypeError('--https: got it with --cert, takes one of them: it makes a certificate of its own')
}

/**
 * TLS as the command line asks for it; nothing where it doesn't. Files are read again when they change.
 * @param host where it listens
 * @throws Error where no certificate can be made
 */
export async function cliTls({ https, cert, key }: CliTls, host: string): Promise<ServedTls | undefined> {
  if (cert !== undefined && key !== undefined)
    return { tls: { certificates: { certFile: cert, keyFile: key } } }
  if (!https) return undefined
  // An address that stands for all of them is none that a client asks for.
  const names = host === '0.0.0.0' || host === '::' ? [] : [host.replace(/%.*/, '')]
  const { devCertificate } = await import('@sluice/tls')
  const made = await devCertificate({ names })
  return { tls: { cert: made.cert, key: made.key }, caFile: quoted(made.caFile) }
}

/** A file's name as a shell takes it. */
function quoted(file: string): string {
  return /^[\w./@+-]+$/.test(file) ? file : `'${file.replaceAll("'", "'\\''")}'`
}
