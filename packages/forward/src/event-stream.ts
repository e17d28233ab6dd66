/** Whether this media type is `text/event-stream`, whose streams rest for long. */
export function isEventStream(type: string | undefined): boolean {
  return type !== undefined && type.charCodeAt(5) === 101 && /^text\/event-stream\s*(;|$)/i.test(type)
}
