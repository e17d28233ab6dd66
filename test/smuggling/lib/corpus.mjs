import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const folder = new URL('../../../../shared/smuggling/', import.meta.url)

/** Whether the requests of other test suites lie beside the checkout. */
export const hasCases = existsSync(fileURLToPath(new URL('README.md', folder)))

/**
 * Requests of other test suites, with what each suite expects of a server.
 * @returns {{ id: string, suite: string, expect: string, hard: boolean, bytes: Buffer }[]} `hard`: to be refused by any proxy
 */
export function cases() {
  return ['desync-guardian', 'gunicorn'].flatMap((suite) => {
    const list = JSON.parse(readFileSync(fileURLToPath(new URL(`${suite}.json`, folder)), 'utf8'))
    return list.map(({ id, expect, raw, gunicorn_config, exc }) => ({
      id,
      suite,
      expect,
      hard: expect === 'reject' && !isSetting({ gunicorn_config, exc }) && !dropped.includes(id),
      bytes: Buffer.from(raw, 'base64'),
    }))
  })
}

/**
 * What may be forwarded without what is wrong with it: fields in the trailers that belong to the head are dropped (RFC 9110 section
 * 6.5.1), and a strict target looks whether they are.
 */
const dropped = ['invalid/rfc9110_trailer_forbidden_host_01']

/** It is about a setting or a limit of that server, and no rule for others. */
function isSetting({ gunicorn_config, exc }) {
  return gunicorn_config === true || (exc ?? '').startsWith('Limit')
}
