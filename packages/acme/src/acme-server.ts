import type { KeyObject } from 'node:crypto'
import { AcmeError, type AcmePhase } from './acme-error.js'
import { type AcmeAnswer, AcmeHttp, type AcmeHttpOptions } from './acme-http.js'
import type { AcmeSeams } from './acme-seams.js'
import { read } from './answers.js'
import { type Directory, directorySchema, resourcesOf } from './directory.js'
import { SignedRequests } from './signed-requests.js'

/** Servers change now and then: renewal information may come, resources may move. */
const directoryAge = 86_400_000

/** What goes out, signed; a `payload` of `undefined` is a POST-as-GET. */
export interface SignedRequest {
  readonly url: string
  readonly payload?: object | undefined
  readonly accept?: string | undefined
}

/** One ACME server: what it offers, and how requests go to it. */
export class AcmeServer {
  readonly #http: AcmeHttp
  readonly #requests: SignedRequests
  readonly #url: string
  readonly #seams: AcmeSeams
  #directory: { readonly asked: number; readonly found: Promise<Directory> } | undefined

  constructor(options: AcmeHttpOptions, seams: AcmeSeams) {
    this.#http = new AcmeHttp(options, seams)
    this.#requests = new SignedRequests(this.#http)
    this.#url = options.directory
    this.#seams = seams
  }

  /** Aborted once nothing more goes out. */
  get left(): AbortSignal {
    return this.#http.left
  }

  /** The directory, asked for once a day. */
  directory(): Promise<Directory> {
    const now = this.#seams.now()
    if (this.#directory !== undefined && now - this.#directory.asked < directoryAge)
      return this.#directory.found
    const found = this.#readDirectory()
    this.#directory = { asked: now, found }
    found.catch(() => {
      this.#directory = undefined
    })
    return found
  }

  /**
   * The URL of a resource that not every server has.
   * @throws AcmeError where this one hasn't
   */
  async resource(phase: AcmePhase, name: 'keyChange' | 'revokeCert'): Promise<string> {
    const url = (await this.directory())[name]
    if (url !== undefined) return url
    throw new AcmeError({ code: 'unsupported', phase, url: this.#url, what: `the server has no ${name}` })
  }

  get(phase: AcmePhase, url: string): Promise<AcmeAnswer> {
    return this.#http.send(phase, { method: 'GET', url })
  }

  /** A request signed by a key: of an account that the server knows by its URL (`kid`), else one that it is shown. */
  async post(
    phase: AcmePhase,
    request: SignedRequest,
    signer: { readonly key: KeyObject; readonly kid?: string },
  ): Promise<AcmeAnswer> {
    const { newNonce } = await this.directory()
    return this.#requests.post(phase, newNonce, request, signer)
  }

  close(): Promise<void> {
    return this.#http.close()
  }

  async #readDirectory(): Promise<Directory> {
    const phase = 'directory'
    const directory = read(phase, await this.get(phase, this.#url), directorySchema)
    this.#http.admit(phase, resourcesOf(directory))
    return directory
  }
}
