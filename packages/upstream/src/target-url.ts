import { show } from './show.js'

const how = "takes a URL such as 'http://127.0.0.1:3000', 'https://host/base' or 'unix:/run/app.sock'"

/** The URL of a target in one form: no slash behind a bare origin. A fault is added to `faults`. */
export function normaliseUrl(text: unknown, path: string, faults: string[]): string | undefined {
  const refuse = (why: string): undefined => {
    faults.push(`${path}: got ${typeof text === 'string' ? hideSecrets(text) : show(text)}, ${why}`)
    return undefined
  }
  if (text instanceof URL) return refuse('takes its text: url.href')
  if (typeof text !== 'string') return refuse(how)
  if (text.startsWith('unix:')) {
    const socket = text.slice('unix:'.length).replace(/^\/\/(?=\/)/, '')
    return socket.startsWith('/') && !/[?#]/.test(socket)
      ? `unix:${socket}`
      : refuse("takes an absolute path: 'unix:/run/app.sock'")
  }
  if (!/^https?:\/\//i.test(text)) {
    const bare = /^[\w.-]+(:\d+)?(\/|$)/.test(text) || /^\[[\da-f:]+\]/i.test(text)
    return refuse(bare ? `takes a URL with its scheme: 'http://${text}'` : how)
  }
  // As nginx writes it. For a URL it is a host called `unix`, with a port left out.
  const socket = /^https?:\/\/unix:(\/[^:]*)/i.exec(text)?.[1]
  if (socket !== undefined) return refuse(`takes a socket as 'unix:${socket}'`)
  let url: URL
  try {
    url = new URL(text)
  } catch {
    return refuse(how)
  }
  if (url.username !== '' || url.password !== '') {
    return refuse('takes a URL without user and password: send credentials in a field of the request')
  }
  if (url.port === '0') return refuse('takes a URL with a port from 1 to 65535: 0 is where nobody listens')
  if (url.search !== '' || text.includes('?')) return refuse('takes a URL without a query')
  if (url.hash !== '' || text.includes('#')) return refuse('takes a URL without a fragment')
  return url.pathname === '/' ? url.origin : url.origin + url.pathname
}

/** A URL in an error or a log must not carry its password there, which may hold an `@` or a slash itself. */
function hideSecrets(text: string): string {
  return JSON.stringify(text.replace(/^([\w+.-]*:\/\/)?.*@/s, '$1***@'))
}
