import { type Body, RelayBody, type Spent } from '@sluice/core'
import type { HeaderList } from '@sluice/headers'
import type { HiddenOrigins, PublicPlace } from './hidden-origins.js'
import { endsInWord, unfinishedUrl, wordCharacter } from './url-forms.js'

/** What a body and its end become on their way to the client. */
export interface BodyEdit {
  /** Edits the fields after the body, in place. */
  readonly trailers: (fields: HeaderList) => void
  /** Whose names go, where URLs in the body are rewritten. */
  readonly hidden?: HiddenOrigins | undefined
  readonly place?: PublicPlace | undefined
}

/**
 * A body in which URLs of hidden origins are public ones, and its trailers say nothing of them. It is read as one byte a character, so
 * that it doesn't matter in which charset it is, as long as ASCII is a part of that. Parts in which nothing is found go on as they came; of one that ends
 * in what may be the begin of such a URL no more than that is held until the next.
 */
export class RewrittenBody extends RelayBody {
  readonly #edit: BodyEdit
  #held = ''
  /** What stands for a sent character that the held text follows, where that makes it part of a word: no scheme begins in a word. */
  #before = ''

  constructor(source: Body, edit: BodyEdit) {
    super(source, edit.hidden === undefined ? source.length : undefined)
    // What isn't given to the base falls back to the source's own.
    if (edit.hidden !== undefined) (this as { length?: number | undefined }).length = undefined
    this.#edit = edit
  }

  write(chunk: Uint8Array, spent?: Spent): boolean {
    const { hidden } = this.#edit
    if (hidden === undefined || chunk.length === 0) return this.push(chunk, spent)
    const held = this.#held
    const before = this.#before
    const part = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    const text = before + held + part.toString('latin1')
    const limit = unfinishedUrl(text, hidden)
    const done = hidden.urlsUpTo(text, limit, false, this.#edit.place as PublicPlace)
    this.#held = text.slice(done.end)
    this.#before = endsInWord(text, done.end) ? wordCharacter : ''
    if (!done.changed && held === '' && this.#held === '') return this.push(chunk, spent)
    return this.#pushText(done.text.slice(before.length))
  }

  end(trailers?: HeaderList): void {
    const { hidden, place } = this.#edit
    const held = this.#held
    const before = this.#before
    this.#held = ''
    if (hidden !== undefined && held !== '')
      this.#pushText(hidden.urls(before + held, place as PublicPlace).slice(before.length))
    if (trailers === undefined) return this.finish()
    const fields = trailers.slice()
    this.#edit.trailers(fields)
    this.finish(fields)
  }

  #pushText(text: string): boolean {
    // Nothing to send is no reason to wait.
    return text === '' || this.push(Buffer.from(text, 'latin1'))
  }
}
