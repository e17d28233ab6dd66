import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fault, quote } from '@sluice/options'
import { createTarget, type Target, type TargetTls } from '@sluice/upstream'
import { type ApiAnswer, type ApiQuestion, askApi } from './api-client.js'
import { type ApiOptions, tokenOf } from './api-options.js'
import { type Seams, urlOf } from './discovery-options.js'

/** Where Kubernetes puts what a pod needs to speak to its API. */
const defaultAccount = '/var/run/secrets/kubernetes.io/serviceaccount'

/** How to reach the API server of Kubernetes. */
export interface KubernetesApiOptions extends ApiOptions {
  /**
   * The folder with `token`, `ca.crt` and `namespace`. Default the pod's own service account where no `url` is given, else none.
   * The token and the authority are read anew for each question, since Kubernetes replaces them. The token is sent by TLS only.
   */
  serviceAccount?: string
}

/** What {@link KubernetesApi} takes: options that have been looked at. */
interface ApiSettings {
  readonly url?: string | undefined
  readonly tls?: TargetTls | undefined
  readonly token?: ApiOptions['token'] | undefined
  readonly timeout: number
  readonly serviceAccount?: string | undefined
}

/** The API server, as one that stands in a pod sees it, or as options say. */
export class KubernetesApi {
  private readonly url: string
  private readonly account: string | undefined
  private target: Target | undefined = undefined
  private authority: string | undefined = undefined

  /**
   * @param where the options' path, for errors
   * @throws TypeError where there is no server, or its URL or TLS settings are wrong
   */
  constructor(
    private readonly settings: ApiSettings,
    where: string,
    private readonly env: NodeJS.ProcessEnv = process.env,
  ) {
    this.url = settings.url ?? this.inCluster(where)
    this.account = settings.serviceAccount ?? (settings.url === undefined ? defaultAccount : undefined)
    createTarget({ url: this.url, ...(settings.tls === undefined ? {} : { tls: settings.tls }) }, where)
  }

  /** The namespace that the pod is in; `'default'` outside of one. */
  async namespace(): Promise<string> {
    return (await this.read('namespace'))?.trim() || 'default'
  }

  /** Asks for JSON, with what the server needs to know who asks. */
  async ask(
    question: Omit<ApiQuestion, 'headers' | 'headTimeout'>,
    seams: Pick<Seams, 'after'>,
  ): Promise<ApiAnswer> {
    const { settings } = this
    const secure = this.url.startsWith('https:')
    const own = settings.token ?? (secure ? await this.read('token') : undefined)?.trim()
    const token = await tokenOf(own, {
      timeout: settings.timeout,
      signal: question.signal,
      after: seams.after,
    })
    const headers = {
      accept: 'application/json',
      'user-agent': 'sluice-discovery',
      authorization: token === undefined ? undefined : `Bearer ${token}`,
    }
    const target = await this.server(secure)
    // Time may have passed over the files.
    question.signal.throwIfAborted()
    return askApi(target, { ...question, headers, headTimeout: settings.timeout }, seams)
  }

  /** Made anew when the authority is another one, for its TLS settings are read once. */
  private async server(secure: boolean): Promise<Target> {
    const { tls } = this.settings
    const authority = secure && tls?.ca === undefined ? await this.read('ca.crt') : undefined
    if (this.target === undefined || authority !== this.authority) {
      const settings = { ...tls, ...(authority === undefined ? {} : { ca: authority }) }
      this.target = createTarget(
        { url: this.url, ...(secure ? { tls: settings } : {}) },
        'kubernetesTargets.api',
      )
      this.authority = authority
    }
    return this.target
  }

  private async read(name: string): Promise<string | undefined> {
    return this.account === undefined ? undefined : readFile(join(this.account, name), 'utf8')
  }

  private inCluster(where: string): string {
    const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = this.env
    if (host === undefined)
      throw new TypeError(
        fault(
          `${where}.url`,
          'nothing',
          "a URL such as 'http://127.0.0.1:8001': KUBERNETES_SERVICE_HOST isn't set, so this is no pod",
        ),
      )
    const url = urlOf('https', host, Number(port), '')
    if (url === undefined) throw new TypeError(fault(`${where}.url`, quote(`${host}:${port}`), 'a URL'))
    return url
  }
}
