import { get, type HeaderList } from '@sluice/headers'

const image = /^image\//
const font = /^(?:font\/|application\/(?:x-)?font|application\/vnd\.ms-fontobject)/
const script = /^(?:text|application)\/(?:x-)?(?:java|ecma)script$/
const video = /^(?:video|audio)\/|^application\/(?:ogg|mp4|vnd\.apple\.mpegurl|x-mpegurl|dash\+xml)$/

/** File extensions that caches take for static, and the types that such a file has. */
const kinds: ReadonlyMap<string, RegExp> = new Map([
  ...of(/^text\/css$/, 'css'),
  ...of(script, 'js mjs cjs'),
  ...of(image, 'png jpg jpeg gif webp avif ico bmp tif tiff svg svgz apng jxl heic cur pict'),
  ...of(font, 'woff woff2 ttf otf eot'),
  ...of(video, 'mp4 m4v m4a mp3 webm ogg ogv oga wav flac mov avi mkv mpg mpeg aac mid midi'),
  ...of(/^application\/pdf$/, 'pdf'),
  ...of(/^application\/json$|\+json$/, 'map webmanifest'),
  ...of(/^text\/plain$/, 'txt'),
  ...of(/^text\/csv$/, 'csv'),
  ...of(/^application\/(?!json|xhtml|xml)/, 'doc docx xls xlsx ppt pptx exe msi apk dmg iso bin class swf'),
  ...of(/^application\/wasm$/, 'wasm'),
  ...of(
    /^application\/(?:x-)?(?:zip|gzip|tar|7z|bzip2?|rar|compress|java-archive|zstd|xz)/,
    'zip gz tgz tar 7z bz2 rar jar zst xz',
  ),
])

/** Says nothing of the content, and no browser shows it as a page: what a server gives for an extension that it doesn't know. */
const anyFile = /^(?:application|binary)\/octet-stream$/

// Where some target ends the path: path parameters, and escapes of what ends it elsewhere, once or twice encoded.
const delimiter = /;|%(?:25)*(?:3b|3f|23|2f|5c|00|0a|0d|09|20|26|7c|21|24|40)|[!$@|\\~]/i
const extension = /\.([a-z\d]{1,11})$/i

/**
 * Whether a response may be another resource than its path pretends: `/account/x.css`, where the target cuts the path and answers with the
 * page of the one who asks ("cache deception"). Its last segment has the extension of a static file, and its `Content-Type` is of
 * another kind, or missing; or behind what some target reads as the end of the path (`;x.css`, `%2fx.css`, `%00.css`, `%3fx.css`) there is
 * such an extension.
 * @returns the reason not to store it
 */
export function pathConfusion(path: string, response: HeaderList): 'path-confusion' | undefined {
  const query = path.indexOf('?')
  const name = query === -1 ? path : path.slice(0, query)
  const segment = name.slice(name.lastIndexOf('/') + 1)
  const kind = kinds.get(extensionOf(segment))
  const type = mediaType(response)
  if (kind !== undefined) {
    if (!kind.test(type) && !anyFile.test(type)) return 'path-confusion'
    return undefined
  }
  // `x.css;v=1` and `x.css%00.html`: the extension is ahead of what may end the path.
  for (const part of segment.split(delimiter)) {
    const hidden = kinds.get(extensionOf(part))
    if (hidden !== undefined && !hidden.test(type) && !anyFile.test(type)) return 'path-confusion'
  }
  return undefined
}

function extensionOf(segment: string): string {
  return extension.exec(segment)?.[1]?.toLowerCase() ?? ''
}

function mediaType(headers: HeaderList): string {
  const value = get(headers, 'content-type') ?? ''
  const end = value.indexOf(';')
  return (end === -1 ? value : value.slice(0, end)).trim().toLowerCase()
}

function of(kind: RegExp, extensions: string): (readonly [string, RegExp])[] {
  return extensions.split(' ').map((name) => [name, kind] as const)
}
