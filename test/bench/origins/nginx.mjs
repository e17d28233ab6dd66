import { types } from '../lib/contents.mjs'
import { nginx } from '../lib/nginx.mjs'
import { answerOf, bodyOf, etag, piecesOf, scenarios } from '../lib/scenarios.mjs'

const scenario = scenarios[process.argv[2]]

/** The part of the configuration that answers, and the files that it serves. */
function site({ up, down, chunks, content, control }) {
  if (up > 0) return upload(down)
  if (chunks > 0) return chunked()
  const fields = control === undefined ? '' : cacheable(control)
  // A small answer is written in the configuration itself, a large one is a file.
  if (down <= 2048) return [`location / { ${fields} return 200 "${bodyOf(down)}"; }`, {}]
  const type = `default_type ${types[content]};`
  return [`location / { ${fields} ${type} root .; try_files /body =404; }`, { body: answerOf(scenario) }]
}

/** What a cache goes by. The stamp is another one for each request, so it tells whether an answer came from here. */
function cacheable(control) {
  return `
    etag off;
    add_header Cache-Control "${control}";
    add_header ETag '${etag}';
    add_header Last-Modified "";
    add_header Origin-Stamp $request_id;`
}

/**
 * By itself nginx answers an upload before it has read it. Where requests are mirrored it reads them first; then its file
 * server refuses the method, and that becomes the answer.
 */
function upload(down) {
  const text = `
    location / {
      client_max_body_size 0;
      client_body_buffer_size 2m;
      mirror /mirror;
      root .;
      rewrite ^ /uploaded break;
      error_page 405 =200 /answer;
    }
    location = /mirror { internal; return 204; }
    location = /answer { internal; add_header Received $request_length; return 200 "${bodyOf(down)}"; }`
  return [text, { uploaded: '' }]
}

/** Server-side includes: nginx can't know the length, and writes a chunk for each. */
function chunked() {
  const files = Object.fromEntries(piecesOf(scenario).map((piece, i) => [`piece${i}`, piece]))
  const page = Object.keys(files).map((name) => `<!--#include virtual="/${name}" -->`)
  const text = `
    root .;
    location / { ssi on; ssi_types text/plain; try_files /page =404; }
    location /piece { }`
  return [text, { ...files, page: page.join('') }]
}

const [locations, files] = site(scenario)

await nginx((_folder, port) => `server { listen 127.0.0.1:${port} backlog=1024; ${locations} }`, files)
