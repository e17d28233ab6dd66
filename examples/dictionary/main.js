// A new version of a bundle, over a proxy with shared dictionaries (RFC 9842): what it weighs for those who have the version before it.
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import * as zlib from 'node:zlib'
import { dictionarySupport, sharedDictionaries } from '@sluice/compress'
import { createProxy } from 'sluice'
import { bundles } from './bundle.js'

const sha256 = (bytes) => createHash('sha256').update(bytes).digest()

/** What a browser does: the hash in front says by which dictionary the rest is coded. */
function decode(coding, body, dictionary) {
  const start = coding === 'dcb' ? 4 : 8
  if (!body.subarray(start, start + 32).equals(sha256(dictionary))) throw new Error('another dictionary')
  const rest = body.subarray(start + 32)
  return coding === 'dcb'
    ? zlib.brotliDecompressSync(rest, { dictionary })
    : zlib.zstdDecompressSync(rest, { dictionary })
}

/** The sizes of a new version, each with the coding it was sent in. `undefined` where this Node has no codec that takes a dictionary. */
export async function measure() {
  const support = dictionarySupport()
  if (!support.dcb && !support.dcz) return undefined
  const { before, after } = bundles()

  // The site: one URL, and behind it what was deployed last.
  let deployed = before
  const site = createServer((_req, res) => {
    res.setHeader('Content-Type', 'text/javascript')
    res.setHeader('Cache-Control', 'public, max-age=60')
    res.setHeader('ETag', `"${sha256(deployed).toString('hex')}"`)
    res.end(deployed)
  })
  site.listen(0, '127.0.0.1')
  await once(site, 'listening')

  const proxy = createProxy({
    upstreams: { site: `http://127.0.0.1:${site.address().port}` },
    use: [sharedDictionaries({ match: { path: '/app.js', matchDest: ['script'] } })],
  })
  const { port } = await proxy.listen()
  const ask = async (headers) => {
    const [response] = await once(get({ port, host: '127.0.0.1', path: '/app.js', headers }), 'response')
    return { coding: response.headers['content-encoding'], body: await buffer(response) }
  }

  try {
    // A visitor gets the bundle, and is told to keep it as a dictionary. Then there is a new one.
    const first = await ask({ 'Accept-Encoding': 'gzip, br, dcb, dcz' })
    deployed = after
    const rows = [
      ['plain', after.length],
      ['gzip', zlib.gzipSync(after).length],
      ['br', zlib.brotliCompressSync(after, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 5 } }).length],
    ]
    for (const coding of ['dcz', 'dcb'].filter((each) => support[each])) {
      const next = await ask({
        'Accept-Encoding': `gzip, br, ${coding}`,
        'Available-Dictionary': `:${sha256(first.body).toString('base64')}:`,
      })
      if (!decode(next.coding, next.body, first.body).equals(after)) throw new Error('other bytes')
      rows.push([next.coding, next.body.length])
    }
    return rows
  } finally {
    await proxy.close({ drain: 0 })
    site.close()
    site.closeAllConnections()
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const rows = await measure()
  if (rows === undefined) {
    console.log(
      `Node ${process.version} has no codec that takes a dictionary: later ones of 22 have zstd's, 24 has brotli's, too.`,
    )
  } else {
    const [[, plain]] = rows
    for (const [coding, bytes] of rows) {
      const share = `${((100 * bytes) / plain).toFixed(1)}%`
      console.log(`${coding.padEnd(6)}${String(bytes).padStart(9)} bytes${share.padStart(8)}`)
    }
  }
}
