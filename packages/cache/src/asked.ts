import type { HeaderList } from '@sluice/headers'

/** What a cache looks at of a request's fields, found in one walk over them. Values of repeated fields are joined. */
export class Asked {
  cacheControl: string | undefined = undefined
  pragma: string | undefined = undefined
  range: string | undefined = undefined
  ifRange: string | undefined = undefined
  ifMatch: string | undefined = undefined
  ifNoneMatch: string | undefined = undefined
  ifModifiedSince: string | undefined = undefined
  ifUnmodifiedSince: string | undefined = undefined
  /** It has one of the four conditions that are answered from a stored response (`If-Range` goes with a range). */
  conditional = false

  constructor(headers: HeaderList) {
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string
      // Most fields are told apart by their length, so that few are compared.
      switch (name.length) {
        case 5:
          if (is(name, 'range')) this.range = join(this.range, headers[i + 1] as string)
          break
        case 6:
          if (is(name, 'pragma')) this.pragma = join(this.pragma, headers[i + 1] as string)
          break
        case 8:
          if (is(name, 'if-range')) this.ifRange = join(this.ifRange, headers[i + 1] as string)
          else if (is(name, 'if-match')) {
            this.ifMatch = join(this.ifMatch, headers[i + 1] as string)
            this.conditional = true
          }
          break
        case 13:
          if (is(name, 'cache-control')) this.cacheControl = join(this.cacheControl, headers[i + 1] as string)
          else if (is(name, 'if-none-match')) {
            this.ifNoneMatch = join(this.ifNoneMatch, headers[i + 1] as string)
            this.conditional = true
          }
          break
        case 17:
          if (is(name, 'if-modified-since')) {
            this.ifModifiedSince = join(this.ifModifiedSince, headers[i + 1] as string)
            this.conditional = true
          }
          break
        case 19:
          if (is(name, 'if-unmodified-since')) {
            this.ifUnmodifiedSince = join(this.ifUnmodifiedSince, headers[i + 1] as string)
            this.conditional = true
          }
      }
    }
  }
}

function is(name: string, lower: string): boolean {
  return name === lower || name.toLowerCase() === lower
}

function join(before: string | undefined, value: string): string {
  return before === undefined ? value : `${before}, ${value}`
}
