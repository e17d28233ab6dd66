import { get, type HeaderList } from '@sluice/headers'

/** Subtypes of `application` whose bodies are values of JSON one after the other, as a pattern. */
export const jsonLines = String.raw`(?:x-)?ndjson|(?:x-)?json-?lines?|jsonl|(?:[\w.-]+\+)?json-seq`

const messages = new RegExp(
  String.raw`^\s*(?:text/event-stream|multipart/x-mixed-replace|application/(?:${jsonLines}|grpc(?:[-+][\w.+-]+)?))\s*(?:;|$)`,
  'i',
)

/** Whether a body consists of messages, each of which somebody may be waiting for. */
export function isEventStream(headers: HeaderList): boolean {
  return messages.test(get(headers, 'content-type') ?? '')
}
