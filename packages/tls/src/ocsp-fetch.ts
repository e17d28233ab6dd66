import { request as overHttp } from 'node:http'
import { request as overHttps } from 'node:https'

/** An answer has one signature and at most a few certificates: a few kilobytes. */
const largest = 64 * 1024
/** Longest URL, with the question in it, that is asked by GET: RFC 5019 section 5. */
const longestUrl = 255

/** Takes a question, in DER, to a responder, and gives the answer; `signal` aborts when nobody waits for it any longer. */
export type OcspFetch = (url: URL, question: Buffer, signal: AbortSignal) => Promise<Uint8Array>

/**
 * Asks a responder over HTTP: by GET where the URL stays short, which caches in between can answer, else by POST (RFC 6960 appendix A). It follows no redirect, holds no more
 * than 64 KB, keeps no connection, and keeps no process running.
 */
export const ocspFetch: OcspFetch = (url, question, signal) => {
  const inUrl = new URL(url)
  inUrl.pathname = `${url.pathname.replace(/\/$/, '')}/${encodeURIComponent(question.toString('base64'))}`
  const short = inUrl.href.length <= longestUrl
  const headers = {
    accept: 'application/ocsp-response',
    ...(short ? {} : { 'content-type': 'application/ocsp-request', 'content-length': question.length }),
  }
  const options = { method: short ? 'GET' : 'POST', headers, signal, agent: false as const }
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? overHttps : overHttp
    const asked = send(short ? inUrl : url, options, (response) => {
      const fail = (why: string): void => {
        asked.destroy()
        reject(new Error(why))
      }
      response.on('error', reject)
      if (response.statusCode !== 200) return fail(`the responder answered ${response.statusCode}`)
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size > largest) fail(`the responder answered with more than ${largest} bytes`)
      })
      response.on('end', () => resolve(Buffer.concat(chunks)))
    })
    asked.on('socket', (socket) => socket.unref())
    asked.on('error', reject)
    asked.end(short ? undefined : question)
  })
}
